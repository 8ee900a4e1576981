// Command pldns is a private DNS resolver for Azure Private Link. See the README
// for what it does and "pldns help" for how it is used.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// The exit codes of the program.
const (
	exitFine  = 0
	exitNo    = 1 // the answer is "no", or what was asked could not be done
	exitUsage = 2 // the program was called wrongly
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// errNo ends a command whose answer is "no" and has been printed already.
var errNo = errors.New("no")

// run is the program: standard output carries the result, standard error the
// talk, and the result is the exit code. It ends soon after ctx does.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := newRoot(stdout, stderr)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	var failure *failureError
	switch {
	case err == nil:
		return exitFine
	case errors.Is(err, errNo):
		return exitNo
	case errors.As(err, &failure):
		say(ctx, stderr, err)
		return exitNo
	default:
		say(ctx, stderr, err)
		return exitUsage
	}
}

// lastWord is how long the last line may take once the program is to end: whoever
// should read it may be stuck.
const lastWord = time.Second

// say writes an error as the last line of the program.
func say(ctx context.Context, stderr io.Writer, err error) {
	said := make(chan struct{})
	go func() {
		defer close(said)
		fmt.Fprintf(stderr, "pldns: %v\n", err)
	}()
	select {
	case <-said:
		return
	case <-ctx.Done():
	}
	select {
	case <-said:
	case <-time.After(lastWord):
	}
}

// failureError is a fault that was met while doing what was asked, as opposed to
// being asked wrongly.
type failureError struct{ err error }

func (f *failureError) Error() string { return f.err.Error() }
func (f *failureError) Unwrap() error { return f.err }

// failing marks an error, if there is one, as met while doing what was asked.
func failing(err error) error {
	if err == nil {
		return nil
	}
	return &failureError{err}
}
