package daemon

import (
	"context"
	"log/slog"
	"time"

	sd "github.com/coreos/go-systemd/v22/daemon"
)

const (
	// maxStates is how many states wait for a service manager that is slow.
	maxStates = 64
	// lastState is how long the end of the program waits for it.
	lastState = time.Second
)

// notifier tells the service manager that started the program how it does, if it
// wants to know (sd_notify(3)). The manager may be stuck, so nobody waits for it
// but the one goroutine that tells.
type notifier struct {
	states chan string
	log    *slog.Logger
}

func newNotifier(log *slog.Logger) *notifier {
	return &notifier{states: make(chan string, maxStates), log: log}
}

// tell takes a state. It must hold nothing that came from outside: each line of it
// is an order to the manager.
func (n *notifier) tell(state string) {
	select {
	case n.states <- state:
	default:
		n.log.Warn("the service manager takes nothing: it is not told of a change of state")
	}
}

// Run tells until ctx ends, and then what is left, for a second at most.
func (n *notifier) Run(ctx context.Context) error {
	told := make(chan struct{})
	go func() { // ends with the last state, or with the process
		defer close(told)
		for {
			select {
			case state := <-n.states:
				n.send(state)
				continue
			case <-ctx.Done():
			}
			select {
			case state := <-n.states:
				n.send(state)
			default:
				return
			}
		}
	}()
	<-ctx.Done()
	limit := time.NewTimer(lastState)
	defer limit.Stop()
	select {
	case <-told:
	case <-limit.C:
	}
	return nil
}

func (n *notifier) send(state string) {
	if _, err := sd.SdNotify(false, state); err != nil {
		n.log.Warn("the service manager could not be told", "error", err)
	}
}

// reloading is the state during a reload; a manager that has asked for it by a
// signal wants to know that it began after that.
func reloading() string { return sd.SdNotifyReloading + "\n" + sd.SdNotifyMonotonicUsec() }

// ready is the state while queries are answered. The status is for people.
func ready(status string) string { return sd.SdNotifyReady + "\nSTATUS=" + status }

// stopping is the state from when nothing is read any more.
func stopping() string { return sd.SdNotifyStopping }
