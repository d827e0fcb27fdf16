package main

import (
	"bytes"
	"context"
	"fmt"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"gongshu/privacy"
)

// coreTime is the processor time of the calling thread: what one core does when
// nothing else wants it.
func coreTime() time.Duration {
	var u syscall.Rusage
	const thread = 1 // RUSAGE_THREAD
	if err := syscall.Getrusage(thread, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// maskFigures times the masks on one core, over a column of different values: in
// blocks of 64, as streams and publications mask, and one by one, as a query does.
func maskFigures(_ context.Context, env Env) ([]Row, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	const column = 4096
	times := 1_000_000 / column
	if env.Quick {
		times = 60_000 / column
	}
	phones, ids := make([][]byte, column), make([][]byte, column)
	for i := range column {
		phones[i] = []byte("138" + strconv.Itoa(10_000_000+i*7919))
		// Sound numbers: a check digit for seventeen others.
		head := "3501021990" + fmt.Sprintf("%02d%02d%03d", 1+i%12, 1+i%28, i%1000)
		sum := 0
		for j, w := range [17]int{7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2} {
			sum += int(head[j]-'0') * w
		}
		ids[i] = []byte(head + string("10X98765432"[sum%11]))
	}
	var out []Row
	for _, c := range []struct {
		name, spec string
		kind       privacy.Kind
		values     [][]byte
		aes        bool
	}{{"FF1 over AES", "fpe", privacy.KindPhone, phones, true}, {"FF1 over SM4", "fpe", privacy.KindPhone, phones, false},
		{"SM3-HMAC digest", "digest", privacy.KindResidentID, ids, false}, {"ID pseudonym over AES", "pseudonym", privacy.KindResidentID, ids, true},
		{"ID pseudonym over SM4", "pseudonym", privacy.KindResidentID, ids, false}, {"keep ends", "keep_ends:3,4", privacy.KindPhone, phones, false}} {
		keys, err := privacy.NewSoftKeys(bytes.Repeat([]byte{3}, 32), c.aes)
		if err != nil {
			return nil, err
		}
		spec, err := privacy.ParseMask(c.spec)
		if err != nil {
			return nil, err
		}
		m, err := privacy.NewMasker(spec, c.kind, keys, "bench")
		if err != nil {
			return nil, err
		}
		var buf []byte
		var ends []int
		per := func(mask func(block [][]byte)) float64 {
			began := coreTime()
			for range times {
				for at := 0; at < column; at += 64 {
					mask(c.values[at : at+64])
				}
			}
			return float64(times*column) / (coreTime() - began).Seconds()
		}
		each := per(func(block [][]byte) {
			buf, ends = m.AppendEach(buf[:0], ends[:0], len(block), func(i int) []byte { return block[i] })
		})
		if bytes.IndexByte(buf, '*') >= 0 && spec.Name != privacy.MaskKeepEnds {
			return nil, fmt.Errorf("%s hides values whole: %s", c.name, buf)
		}
		alone := per(func(block [][]byte) {
			for _, v := range block {
				buf = m.Append(buf[:0], v)
			}
		})
		row := Row{What: "mask: " + c.name + ", one core", Value: rate(each, "values/s"), Bar: "≥ 1,000,000", OK: each >= 1e6}
		if spec.Name == privacy.MaskFPE || spec.Name == privacy.MaskPseudonym {
			row.Note = "Of a column, 64 values at a time, as streams and publications mask; one value alone, as a query masks, " + rate(alone, "values/s") + "."
			if !c.aes {
				block, err := keys.Block("bench")
				if err != nil {
					return nil, err
				}
				var b [16]byte
				began := coreTime()
				for range times * column {
					block.Encrypt(b[:], b[:])
				}
				row.Note += fmt.Sprintf(" The ten SM4 blocks of FF1 alone, one after another, are %v: %s at most.",
					((coreTime() - began) * 10 / time.Duration(times*column)).Round(time.Nanosecond), rate(float64(times*column)/10/(coreTime()-began).Seconds(), "values/s"))
			}
		}
		out = append(out, row)
	}
	return out, nil
}
