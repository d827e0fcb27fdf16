package intake

// SetPoint lets a test interrupt the way of a batch.
func (s *Service) SetPoint(f func(name string) error) { s.point = f }
