//go:build !portable

package udpio

import (
	"errors"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Set is a number of sockets that a worker reads on behalf of their owner.
type Set interface {
	// Ready reads the socket that the owner has put in a place, and that was watched with
	// a serial number: another may have taken the place since. The worker calls it, one
	// call at a time, so it must not wait for anything.
	Ready(place int, serial int32, in *Inbox)
}

// The events that belong to no Set.
const (
	isClient = -1
	isBell   = -2
)

const (
	// setBits is how many bits of the name of a watched socket are its place.
	setBits = 16
	// eventsAtOnce is how many sockets with something to read are learnt of at once.
	eventsAtOnce = 128
)

// ErrEnded says that a worker takes no more sockets.
var ErrEnded = errors.New("udpio: the worker has ended")

// Worker waits for many sockets in one place. One goroutine at a time drives it, by Poll
// and Await; to be driven costs that goroutine all its time. Wake, Expect, Join, Watch
// and Leave may be called by any.
type Worker struct {
	epoll   int      // all that it waits for
	bell    int      // an eventfd in it
	news    *os.File // an epoll instance that the poller of the Go runtime knows, with epoll in it while waiting there
	poll    syscall.RawConn
	told    bool // news has epoll in it
	deaf    bool // it was waited for clients alone
	try     func(uintptr) bool
	posted  func() bool // what was posted is not to be waited over
	asleep  atomic.Bool
	pending atomic.Int64 // what the sets wait for
	serial  atomic.Int32
	later   []Flusher
	in      *Inbox
	client  bool // what the last look has found
	found   int
	events  [eventsAtOnce]unix.EpollEvent

	mu    sync.Mutex // guards what follows, and the files against being closed
	sets  atomic.Pointer[[]Set]
	used  int
	ended bool
	over  chan struct{} // closed when the caretaker has ended; nil if there is none
}

// NewWorker makes a worker. Posted tells whether there is something to do for whoever
// drives it that no socket tells of: it is asked before each wait, and who posts it calls
// Wake afterwards. It is an error if the system refuses a descriptor.
func NewWorker(posted func() bool) (*Worker, error) {
	w := &Worker{epoll: -1, bell: -1, posted: posted}
	w.sets.Store(new([]Set))
	w.try = func(uintptr) bool { // made once, because a closure is garbage
		w.look(0)
		return w.found > 0 || w.posted()
	}
	if err := w.open(); err != nil {
		w.close()
		return nil, err
	}
	return w, nil
}

func (w *Worker) open() (err error) {
	if w.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return os.NewSyscallError("epoll_create1", err)
	}
	if w.bell, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		return os.NewSyscallError("eventfd", err)
	}
	if err = w.add(w.bell, isBell, 0); err != nil {
		return err
	}
	news, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return os.NewSyscallError("epoll_create1", err)
	}
	if err := unix.SetNonblock(news, true); err != nil { // what the poller is to know must say so
		return errors.Join(err, unix.Close(news))
	}
	w.news = os.NewFile(uintptr(news), "epoll")
	if err := w.news.SetReadDeadline(time.Time{}); err != nil {
		return err // it is not in the poller
	}
	w.poll, err = w.news.SyscallConn()
	return err
}

func (w *Worker) close() {
	if w.news != nil {
		_ = w.news.Close()
	}
	for _, fd := range []int{w.bell, w.epoll} {
		if fd >= 0 {
			_ = unix.Close(fd)
		}
	}
}

func (w *Worker) add(fd int, name, serial int32) error {
	event := unix.EpollEvent{Events: unix.EPOLLIN, Fd: name, Pad: serial}
	return os.NewSyscallError("epoll_ctl", unix.EpollCtl(w.epoll, unix.EPOLL_CTL_ADD, fd, &event))
}

// Client has the worker wait for packets of clients, which whoever drives it reads. The
// error is the system's.
func (w *Worker) Client(fd int) error { return w.add(fd, isClient, 0) }

// Forget has the worker not wait for packets of clients any longer.
func (w *Worker) Forget(fd int) { _ = unix.EpollCtl(w.epoll, unix.EPOLL_CTL_DEL, fd, nil) }

// Wake ends the wait of the worker, or the next one, if something was posted. It costs
// nothing while the worker is awake.
func (w *Worker) Wake() {
	if w.asleep.Load() && w.asleep.CompareAndSwap(true, false) {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.over == nil && w.ended {
			return
		}
		one := [8]byte{1}
		_, _, _ = unix.RawSyscall(unix.SYS_WRITE, uintptr(w.bell), uintptr(unsafe.Pointer(&one)), 8)
	}
}

// Poll waits in the system, for so long at most, until there is something to read, has
// the sets read what is theirs, and tells whether clients have sent something and whether
// anything happened. The scheduler is not told of the wait. It is an error if the worker
// is closed.
func (w *Worker) Poll(patience time.Duration) (client, any bool, err error) {
	w.client, w.deaf = false, false
	if err := w.tell(false); err != nil {
		return false, false, err
	}
	if patience > 0 {
		w.asleep.Store(true)
		if w.posted() {
			patience = 0
		}
	}
	disturbed := w.look(patience)
	w.asleep.Store(false)
	w.dispatch()
	return w.client, w.found > 0 || disturbed || w.posted(), nil
}

// Alone says that whoever drives the worker is going to wait for its clients by itself.
// It is an error if the worker is closed.
func (w *Worker) Alone() error {
	w.deaf = true
	return w.tell(false)
}

// Listen has the sets read what came while clients alone were waited for, so that they
// know of it before they send anything. It costs nothing otherwise. Whoever drives the
// worker calls it.
func (w *Worker) Listen() {
	for w.deaf {
		w.look(0)
		w.deaf = w.found == eventsAtOnce
		w.dispatch()
	}
}

// Await is Poll, in the poller of the Go runtime and without an end. It is an error if
// the deadline is over, or the worker closed.
func (w *Worker) Await() (client bool, err error) {
	w.client, w.found, w.deaf = false, 0, false
	if err := w.tell(true); err != nil {
		return false, err
	}
	w.asleep.Store(true)
	err = w.poll.Read(w.try)
	w.asleep.Store(false)
	w.dispatch()
	return w.client, err
}

// SetDeadline has Await fail from a time on; the zero time stands for never.
func (w *Worker) SetDeadline(at time.Time) error { return w.news.SetReadDeadline(at) }

// tell has the poller of the Go runtime learn of what there is to read, or not any more:
// it would be woken by everything that a wait in the system is woken by.
func (w *Worker) tell(news bool) error {
	if w.told == news {
		return nil
	}
	w.told = news
	how, event := unix.EPOLL_CTL_DEL, unix.EpollEvent{Events: unix.EPOLLIN}
	if news {
		how = unix.EPOLL_CTL_ADD
	}
	var failed error
	err := w.poll.Control(func(fd uintptr) { failed = unix.EpollCtl(int(fd), how, w.epoll, &event) })
	return errors.Join(err, os.NewSyscallError("epoll_ctl", failed))
}

// look learns of what there is to read, and tells whether a signal ended the wait.
func (w *Worker) look(patience time.Duration) (disturbed bool) {
	n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(w.epoll), uintptr(unsafe.Pointer(&w.events[0])), eventsAtOnce,
		uintptr(patience.Milliseconds()), 0, 0)
	if w.found = int(n); errno != 0 {
		w.found = 0
	}
	return errno == unix.EINTR
}

// dispatch has everything read that was found.
func (w *Worker) dispatch() {
	for i := range w.events[:w.found] {
		switch event := &w.events[i]; event.Fd {
		case isClient:
			w.client = true
		case isBell:
			var count [8]byte
			_, _, _ = unix.RawSyscall(unix.SYS_READ, uintptr(w.bell), uintptr(unsafe.Pointer(&count)), 8)
		default:
			if w.in == nil {
				w.in = NewInbox()
			}
			if set := (*w.sets.Load())[event.Fd>>setBits]; set != nil {
				set.Ready(int(event.Fd&(1<<setBits-1)), event.Pad, w.in)
			}
		}
	}
}

// Later has f flushed at the end of the batch under way. Whoever drives the worker calls
// it, once a batch.
func (w *Worker) Later(f Flusher) { w.later = append(w.later, f) }

// Flush is the end of a batch.
func (w *Worker) Flush() {
	for len(w.later) > 0 {
		last := len(w.later) - 1
		f := w.later[last]
		w.later[last], w.later = nil, w.later[:last]
		f.Flush()
	}
}

// Expect counts what the sets wait for: as long as that is something, whoever drives the
// worker must not wait for clients alone.
func (w *Worker) Expect(change int64) { w.pending.Add(change) }

// Expecting tells whether the sets wait for anything.
func (w *Worker) Expecting() bool { return w.pending.Load() > 0 }

// Join takes a set in, and gives its number, for Watch and Leave. It is [ErrEnded] where
// there is no place for one more.
func (w *Worker) Join(s Set) (number int, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ended {
		return 0, ErrEnded
	}
	sets := slices.Clone(*w.sets.Load())
	if number = slices.Index(sets, nil); number < 0 {
		number = len(sets)
		sets = append(sets, nil)
	}
	if number >= 1<<(31-setBits) {
		return 0, ErrEnded
	}
	sets[number] = s
	w.used++
	w.sets.Store(&sets)
	return number, nil
}

// Serial is a number that no other socket of the worker has.
func (w *Worker) Serial() int32 { return w.serial.Add(1) }

// Watch has a socket read that the owner of a set has put in a place, below 65,536. To
// close it ends that. The set must not have left. The error is the system's.
func (w *Worker) Watch(fd, number, place int, serial int32) error {
	return w.add(fd, int32(number<<setBits|place), serial)
}

// Leave is the end of a set, all of whose sockets are closed. It must not be called by
// who drives the worker.
func (w *Worker) Leave(number int) {
	w.mu.Lock()
	sets := slices.Clone(*w.sets.Load())
	sets[number] = nil
	w.sets.Store(&sets)
	w.used--
	over := w.over
	last := w.used == 0
	w.mu.Unlock()
	if last && over != nil {
		w.ring()
		<-over
	}
}

// ring ends the wait of the worker, or the next one.
func (w *Worker) ring() {
	w.asleep.Store(true)
	w.Wake()
}

// Retire is called by whoever drove the worker, when it does not any more, or instead of
// driving it. The sets that are there, whose owners wait for something, are read by a
// goroutine that ends with the last of them; no more may join. Retiring twice does nothing.
func (w *Worker) Retire() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ended {
		return
	}
	w.ended, w.posted = true, func() bool { return false }
	if w.used == 0 {
		w.close()
		return
	}
	w.over = make(chan struct{})
	go w.tend(w.over) // Leave waits for it
}

// tend drives the worker until all sets have left.
func (w *Worker) tend(over chan struct{}) {
	defer close(over)
	for {
		w.mu.Lock()
		left := w.used
		w.mu.Unlock()
		if left == 0 {
			break
		}
		_, _ = w.Await()
		w.Flush()
	}
	w.mu.Lock()
	w.over = nil
	w.close()
	w.mu.Unlock()
}
