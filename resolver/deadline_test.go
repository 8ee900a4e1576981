package resolver_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"pldns/resolver"
)

// A limited context ends when one of package context would, for the same reason,
// whether it was waited for or only asked.
func TestLimitedEndsAsAnyOther(t *testing.T) {
	gone := errors.New("the client has gone")
	ends := map[string]struct {
		do   func(outer context.CancelCauseFunc, l *resolver.Limited)
		err  error
		took time.Duration
	}{
		"by its deadline":     {func(context.CancelCauseFunc, *resolver.Limited) { time.Sleep(3 * time.Second) }, context.DeadlineExceeded, 3 * time.Second},
		"with what it is in":  {func(outer context.CancelCauseFunc, _ *resolver.Limited) { outer(gone) }, context.Canceled, 0},
		"by whoever it is of": {func(_ context.CancelCauseFunc, l *resolver.Limited) { l.End() }, context.Canceled, 0},
	}
	for name, end := range ends {
		for _, waited := range []bool{false, true} {
			t.Run(map[bool]string{false: "asked, ", true: "waited for, "}[waited]+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					outer, cancel := context.WithCancelCause(t.Context())
					defer cancel(nil)
					l := resolver.WithDeadline(outer, time.Now().Add(3*time.Second))
					defer l.End()
					if l.Err() != nil {
						t.Errorf("at the beginning: %v", l.Err())
					}
					if waited {
						go func() { <-l.Done() }()
						synctest.Wait()
					}
					end.do(cancel, l)
					synctest.Wait()
					if !errors.Is(l.Err(), end.err) {
						t.Errorf("ended with %v, want %v", l.Err(), end.err)
					}
					<-l.Done()
					within, stop := context.WithCancel(l)
					defer stop()
					if !errors.Is(within.Err(), end.err) {
						t.Errorf("what is in it ended with %v, want %v", within.Err(), end.err)
					}
				})
			})
		}
	}
}

// The earlier deadline counts, and Outer is what there is besides.
func TestLimitedWithinLimited(t *testing.T) {
	soon := time.Now().Add(time.Minute)
	outer := t.Context()
	first := resolver.WithDeadline(outer, soon)
	defer first.End()
	second := resolver.WithDeadline(first, soon.Add(time.Hour))
	defer second.End()
	if deadline, ok := second.Deadline(); !ok || !deadline.Equal(soon) {
		t.Errorf("deadline %v, want %v", deadline, soon)
	}
	if resolver.Outer(second) != outer || resolver.Outer(outer) != outer {
		t.Error("Outer is not what they are in")
	}
}
