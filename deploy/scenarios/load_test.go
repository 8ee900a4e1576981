//go:build linux

package scenarios

import (
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"pldns/deploy/scenarios/lab"
	"pldns/deploy/scenarios/tally"
)

// row is what the clients saw during one fault.
type row struct {
	Fault          string
	Note           string
	tally          *tally.Tally
	struck, mended int64 // Unix nanoseconds; mended is 0 where the fault ends by itself
}

// askedIn are the questions of the clients of a region, and what they may be
// answered: their own region's addresses, before and after every change.
func (f *faults) askedIn(p plan) string {
	eunAnswers, aueAnswers := []string{eunPrivate + ". " + p.eun}, []string{auePrivate + ". " + p.aue}
	if p == europe() {
		eunAnswers, aueAnswers = append(eunAnswers, eunPrivate+". 10.0.1.6"), append(aueAnswers, auePrivate+". 10.0.1.7")
	}
	text, err := json.Marshal([]tally.Question{
		{Kind: "mapped", Name: eun + ".", Type: "A", Weight: 40, Answers: eunAnswers},
		{Kind: "mapped", Name: aue + ".", Type: "A", Weight: 40, Answers: aueAnswers},
		{Kind: "mapped", Name: eun + ".", Type: "AAAA", Weight: 5, Answers: []string{eunPrivate + "."}},
		{Kind: "remembered", Name: "www.contoso.com.", Type: "A", Weight: 5, Answers: []string{"203.0.113.80"}},
		{Kind: "remembered", Name: "short.contoso.com.", Type: "A", Weight: 5, Answers: []string{"203.0.113.81"}},
		{Kind: "new", Name: "uNUMBER-" + p.name + ".bulk.contoso.com.", Type: "A", Weight: 5, Answers: []string{"203.0.113.82"}},
	})
	if err != nil {
		f.t.Fatal(err)
	}
	return string(text)
}

// load starts the clients.
func (f *faults) load() []*lab.Process {
	var loads []*lab.Process
	for i, client := range f.clients {
		loads = append(loads, client.Play("load", "-servers", strings.Join(f.servers(), ","),
			"-questions", f.questions[i], "-rate", strconv.Itoa(f.rate/len(f.clients))))
	}
	return loads
}

// counted ends the clients and adds up what they saw.
func (f *faults) counted(loads []*lab.Process) *tally.Tally {
	total := tally.New()
	for _, load := range loads {
		load.Signal(syscall.SIGTERM)
	}
	for _, load := range loads {
		total.Merge(seen(f.t, load))
	}
	return total
}

// seen is what a load saw that was told to end.
func seen(t *testing.T, load *lab.Process) *tally.Tally {
	t.Helper()
	text, err := load.Wait()
	count := tally.New()
	if err == nil {
		err = json.Unmarshal([]byte(text), count)
	}
	if err != nil {
		t.Fatalf("the load: %v\n%s", err, text)
	}
	return count
}

// noneLost ends a load, of which nothing may have been lost or answered wrongly, and gives
// what it saw.
func noneLost(t *testing.T, what string, load *lab.Process) *tally.Tally {
	t.Helper()
	load.Signal(syscall.SIGTERM)
	count := seen(t, load)
	if total := count.Total(); total.Asked == 0 || total.Wrong > 0 || total.Lost > 0 {
		t.Errorf("%s: %+v, %q", what, total, count.Samples)
	}
	return count
}

// calibrate lowers the rate to what the machine can do: at that rate, next to
// nothing may need another try while nothing fails.
func (f *faults) calibrate() {
	for ; f.rate > 100; f.rate /= 2 {
		loads := f.load()
		f.wait(f.hold)
		total := f.counted(loads).Total()
		if total.Retried*200 < total.Asked && float64(total.Asked) > 0.8*float64(f.rate)*f.hold.Seconds() {
			return
		}
		f.t.Logf("at %d queries/s this machine is too slow: %+v", f.rate, total)
	}
}

// during puts the load on, strikes, waits, mends, waits, and counts. Wrong answers
// fail the test, and so do lost ones of the given kinds.
func (f *faults) during(fault string, lossless []string, strike, mend func()) *row {
	f.t.Helper()
	r := &row{Fault: fault}
	loads := f.load()
	f.wait(f.hold / 2)
	r.struck = time.Now().UnixNano()
	strike()
	f.wait(f.hold)
	if mend != nil {
		r.mended = time.Now().UnixNano()
		mend()
		f.wait(f.hold)
	}
	r.tally = f.counted(loads)
	f.rows = append(f.rows, r)
	if total := r.tally.Total(); total.Asked == 0 || total.Wrong > 0 {
		f.t.Errorf("%s: %d of %d answers are wrong: %q", fault, total.Wrong, total.Asked, r.tally.Samples)
	}
	if total := r.tally.Total(lossless...); total.Lost > 0 {
		f.t.Errorf("%s: %d of %d queries are lost: %q", fault, total.Lost, total.Asked, r.tally.Samples)
	}
	return r
}

// holdFor is how long each measurement or fault lasts: PLDNS_E2E_HOLD, or this.
func holdFor(t *testing.T, otherwise time.Duration) time.Duration {
	t.Helper()
	text := os.Getenv("PLDNS_E2E_HOLD")
	if text == "" {
		return otherwise
	}
	hold, err := time.ParseDuration(text)
	if err != nil {
		t.Fatalf("PLDNS_E2E_HOLD: %v", err)
	}
	return hold
}

// wait lets time pass while the load goes on: how long a fault lasts is a part of
// the experiment, and no condition.
func (f *faults) wait(d time.Duration) {
	<-time.After(d)
}

// print writes the table.
func (f *faults) print() {
	var table strings.Builder
	fmt.Fprintf(&table, "%d queries/s, each fault for %s:\n\n", f.rate, f.hold)
	table.WriteString("| while | asked | wrong | lost, known names | lost, new names | tried again | trouble for | after the repair | |\n|---|---|---|---|---|---|---|---|---|\n")
	for _, r := range f.rows {
		all, known, fresh := r.tally.Total(), r.tally.Total(known()...), r.tally.Total("new")
		trouble, after := "none", "none"
		if d := r.tally.Disturbed; d.Times > 0 {
			trouble = since(r.struck, d.Last)
			if r.mended != 0 && d.Last > r.mended {
				after = since(r.mended, d.Last)
			}
		}
		if r.mended == 0 {
			after = ""
		}
		fmt.Fprintf(&table, "| %s | %d | %d | %d | %d | %d | %s | %s | %s |\n",
			r.Fault, all.Asked, all.Wrong, known.Lost, fresh.Lost, all.Retried, trouble, after, r.Note)
	}
	fmt.Printf("%s\n", table.String())
}

// since is the time between two moments in Unix nanoseconds, for people.
func since(from, to int64) string {
	return time.Duration(to - from).Round(10 * time.Millisecond).String()
}
