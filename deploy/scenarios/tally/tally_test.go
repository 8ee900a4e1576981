package tally

import (
	"testing"
	"time"
)

func TestTally(t *testing.T) {
	began := time.Unix(1000, 0)
	one, two := New(), New()
	one.Add(Outcome{Kind: "mapped", Asked: began, Took: time.Second, Tries: 1, Server: "a", Got: "10.0.1.4", Right: true})
	one.Add(Outcome{Kind: "mapped", Asked: began.Add(time.Second), Tries: 2, Server: "a", Got: "10.0.1.4", Right: true})
	two.Add(Outcome{Kind: "mapped", Asked: began.Add(3 * time.Second), Tries: 1, Server: "b", Got: "10.1.1.5"})
	two.Add(Outcome{Kind: "new", Asked: began.Add(2 * time.Second), Took: 3 * time.Second, Lost: true})
	one.Merge(two)
	if got, want := one.Total(), (Count{Asked: 4, Wrong: 1, Lost: 1, Retried: 1}); got != want {
		t.Errorf("total %+v, want %+v", got, want)
	}
	if got, want := one.Total("new"), (Count{Asked: 1, Lost: 1}); got != want {
		t.Errorf("new %+v, want %+v", got, want)
	}
	if got, want := one.Disturbed, (Span{First: began.Add(time.Second).UnixNano(), Last: began.Add(2 * time.Second).UnixNano(), Times: 2}); got != want {
		t.Errorf("disturbed %+v, want %+v", got, want)
	}
	if got, want := *one.Seen["a 10.0.1.4"], (Span{First: began.Add(time.Second).UnixNano(), Last: began.Add(time.Second).UnixNano(), Times: 2}); got != want {
		t.Errorf("seen %+v, want %+v", got, want)
	}
	if len(one.Samples) != 2 || one.Slowest != 3*time.Second {
		t.Errorf("samples %q, slowest %s", one.Samples, one.Slowest)
	}
	q := Question{Name: "uNUMBER.contoso.com.", Answers: []string{"10.0.1.4"}}
	if q.Fill(7) != "u7.contoso.com." || !q.Right("10.0.1.4") || q.Right("") {
		t.Error("a question is not filled or held against its answers")
	}
}
