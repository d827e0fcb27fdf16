package audit

import "time"

// minimumRetention is the shortest time for which contents are kept whatever a
// profile says: half a year (LY-24; 网络安全法 art. 21 says six months). Quanzhou
// keeps three years (QZ-3.1.8); a profile can only lengthen.
func minimumRetention(now time.Time) time.Time { return now.AddDate(0, -6, 0) }
