package demo

import (
	"bytes"
	"context"
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
	"strings"

	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/transform"

	"gongshu/identity"
	"gongshu/intake"
	"gongshu/quality"
)

// deliveries are the days of the story on which a resource of a cycle is sent
// again after its first load.
var deliveries = map[string][]int{
	"daily": {40, 70, 100, 130, 160, 185, 200}, "weekly": {45, 75, 105, 135, 165, 197}, "monthly": {50, 80, 110, 140, 170, 198},
	"quarterly": {95, 185}, "half_yearly": {150},
}

// planDeliveries plans the first load and the later batches of every resource.
// Every ninth resource falls silent half-way, so that lateness shows.
func (b *builder) planDeliveries() {
	for i, p := range b.plans {
		days := append([]int{registered(i) + 2}, deliveries[p.Cycle]...)
		if i%9 == 8 && len(days) > 3 {
			days = days[:len(days)/2+1]
		}
		total := b.gen.rowCount(p)
		sent := total // rows from sent on have been delivered, for resources that grow at the front
		done := 0
		for n, day := range days {
			b.plan(day, 8, 30+i%30, "batch of "+p.Name, func(ctx context.Context) error {
				b.gen.asOf = b.start.AddDate(0, 0, day)
				from, to := 0, 0
				switch p.Who {
				case "month", "station":
					from, to = min(b.gen.notYet(p), sent), sent
					sent = from
				default:
					// Four fifths at first, the rest in equal parts.
					from, to = done, total
					if n < len(days)-1 {
						to = total*4/5 + (total-total*4/5)*n/max(1, len(days)-1)
					}
					done = to
				}
				if from >= to {
					return nil
				}
				return b.deliver(ctx, i, n, p, from, to)
			})
		}
	}
}

// deliver sends rows from (inclusive) to (exclusive) as the department would.
func (b *builder) deliver(ctx context.Context, i, n int, p resourcePlan, from, to int) error {
	steward := b.actor(p.Body, identity.Steward)
	r := b.resources[p.English]
	upload := intake.Upload{
		Resource: r.Code, Source: intake.API, FileName: fmt.Sprintf("%s_%s.csv", p.Name, b.Clock.Now().Format("20060102")), ContentType: "text/csv",
		Secrecy: intake.Secrecy{Declared: true, Document: "保密审查〔2026〕" + strconv.Itoa(100+i)},
	}
	reader, writer := io.Pipe()
	var spoiled []int
	go func() {
		var out io.Writer = writer
		if i%7 == 3 { // some departments still export GB18030
			out = transform.NewWriter(writer, simplifiedchinese.GB18030.NewEncoder())
		}
		var err error
		spoiled, err = b.gen.writeCSV(out, p, from, to)
		if c, ok := out.(io.Closer); ok && err == nil {
			err = c.Close()
		}
		writer.CloseWithError(err)
	}()
	batch, err := b.Intake.Receive(ctx, steward, upload, reader)
	reader.Close()
	if err != nil {
		return err
	}
	if batch, err = b.load(ctx, batch.ID); err != nil {
		return err
	}
	b.rows[p.English] += batch.Accepted
	if batch.Failure != nil {
		return fmt.Errorf("batch %s: %s", batch.ID, batch.Failure.EN)
	}
	// Where rows refer to another resource, those whose target was itself a problem
	// row are rejected too, and stay so until it is mended.
	if batch.Rejected != int64(len(spoiled)) && p.Refs == "" {
		return fmt.Errorf("batch %s: %d rows rejected, %d were spoiled", batch.ID, batch.Rejected, len(spoiled))
	}
	// Half of the departments mend their problem rows within two days.
	if batch.Rejected > 0 && i%2 == 0 && p.Refs == "" {
		asOf := b.gen.asOf
		b.plan(b.today+2, 14, i%60, "correction of "+p.Name, func(ctx context.Context) error {
			b.gen.asOf = asOf
			return b.correct(ctx, p, batch, spoiled)
		})
	}
	return nil
}

// load lets the worker do what waits for it and gives the batch as it is then.
func (b *builder) load(ctx context.Context, id string) (*intake.Batch, error) {
	if _, err := b.Jobs.Drain(ctx); err != nil {
		return nil, err
	}
	return b.Intake.Get(ctx, id)
}

// correct sends the problem rows again, mended, against their batch.
func (b *builder) correct(ctx context.Context, p resourcePlan, batch *intake.Batch, spoiled []int) error {
	steward := b.actor(p.Body, identity.Steward)
	problems, _, err := b.Intake.Problems(ctx, steward, batch.ID, quality.Which{Open: true}, "", 0, int64(len(spoiled)))
	if err != nil {
		return err
	}
	var file bytes.Buffer
	out := csv.NewWriter(&file)
	header := []string{quality.NumberColumn}
	for _, item := range p.Items {
		header = append(header, item.Name)
	}
	out.Write(header)
	row := make([]string, len(p.Items))
	for k, problem := range problems {
		b.gen.row(p, spoiled[k], row)
		out.Write(append([]string{strconv.FormatInt(problem.Row, 10)}, row...))
	}
	out.Flush()
	mended, err := b.Intake.Receive(ctx, steward, intake.Upload{
		Resource: batch.Code, Corrects: batch.ID, Source: intake.Console, FileName: p.Name + "_更正.csv", ContentType: "text/csv",
		Secrecy: intake.Secrecy{Declared: true},
	}, &file)
	if err != nil {
		return err
	}
	if mended, err = b.load(ctx, mended.ID); err != nil {
		return err
	}
	b.rows[p.English] += mended.Accepted
	if mended.Rejected > 0 {
		return fmt.Errorf("%d of %d mended rows were rejected again", mended.Rejected, mended.Total)
	}
	return nil
}

// delivery is three new rows of a resource whose body has an API client; the last
// one is wrong.
func (b *builder) delivery() (Delivery, error) {
	p := b.planOf("skill_certificates")
	b.gen.asOf = b.gen.today
	first := b.gen.rowCount(p)
	for b.gen.flawed(p, first) || b.gen.flawed(p, first+1) || !b.gen.flawed(p, first+2) {
		first++
	}
	var file strings.Builder
	if _, err := b.gen.writeCSV(&file, p, first, first+3); err != nil {
		return Delivery{}, err
	}
	return Delivery{Resource: b.resources[p.English].Code, Client: b.clients[p.Body].ID, CSV: file.String()}, nil
}

// describe fills the resources of demo.json.
func (b *builder) describe() {
	for _, p := range b.plans {
		r := b.resources[p.English]
		entry := Resource{Code: r.Code, Name: r.Name, Provider: r.BodyName, Sharing: string(r.Sharing), Opening: string(r.Opening), Rows: b.rows[p.English], Key: []string{}}
		for _, key := range r.Keys() {
			entry.Key = append(entry.Key, key.Name)
		}
		b.file.Resources = append(b.file.Resources, entry)
	}
}

// exampleRow is a good row of a resource by item name, for requests that find it.
func (b *builder) exampleRow(p resourcePlan, i int) map[string]string {
	b.gen.asOf = b.gen.today
	row := make([]string, len(p.Items))
	b.gen.row(p, i, row)
	out := map[string]string{}
	for c, item := range p.Items {
		out[item.Name] = row[c]
	}
	return out
}
