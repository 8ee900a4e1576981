package main

import (
	"context"
	"encoding/json"
	"flag"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/miekg/dns"

	"pldns/deploy/scenarios/tally"
	"pldns/resolver/resolvertest"
)

// pacing asks over a few connections.
type pacing struct {
	mutex sync.Mutex
	tally.Paced
	took []time.Duration
}

// pace asks one question again and again over a few connections, which stay open, and
// prints as JSON how many were answered and how long that took.
func pace(ctx context.Context, flags *flag.FlagSet, arguments []string) error {
	rate := flags.Int("rate", 400, "queries a second")
	connections := flags.Int("connections", 4, "which are asked over in turn")
	length := flags.Duration("for", 5*time.Second, "how long")
	var a asking
	if err := a.read(flags, arguments); err != nil {
		return err
	}
	settings, err := trusting(a.authority)
	if err != nil {
		return err
	}
	askers := make([]*resolvertest.Asker, *connections)
	for i := range askers {
		if askers[i], err = a.Open(ctx, settings); err != nil {
			return err
		}
		defer askers[i].Close()
		if _, err := askers[i].Exchange(ctx, a.query.Copy()); err != nil { // it is connected then
			return err
		}
	}
	var p pacing
	var under sync.WaitGroup
	tick := time.NewTicker(time.Second / time.Duration(*rate))
	defer tick.Stop()
	end := time.NewTimer(*length)
	for i := 0; ; i++ {
		select {
		case <-tick.C:
			under.Go(func() { p.ask(ctx, askers[i%len(askers)], a.query.Copy()) })
			continue
		case <-end.C:
		case <-ctx.Done():
		}
		break
	}
	under.Wait()
	slices.Sort(p.took)
	if n := len(p.took); n > 0 {
		p.P50, p.P99 = p.took[n/2], p.took[n*99/100]
	}
	return json.NewEncoder(os.Stdout).Encode(p.Paced)
}

// ask asks once.
func (p *pacing) ask(ctx context.Context, asker *resolvertest.Asker, query *dns.Msg) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	began := time.Now()
	_, err := asker.Exchange(ctx, query)
	took := time.Since(began)
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.Asked++
	if err != nil {
		p.Failure = err.Error()
		return
	}
	p.Answered++
	p.took = append(p.took, took)
}
