//go:build !portable

package udpio

import (
	"encoding/binary"
	"slices"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// OutboxSize is how many packets an Outbox holds.
	OutboxSize = 16
	// OutboxRoom is the longest of them in octets.
	OutboxRoom = 576
)

// Outbox collects packets for a connected socket.
type Outbox struct {
	Rooms [OutboxSize][OutboxRoom]byte
	Sizes [OutboxSize]int // of what was written to Rooms, in octets

	order    [OutboxSize]int // of the packets of one call of Send
	heads    [OutboxSize]Message
	parts    [OutboxSize]unix.Iovec // one for each packet, in order
	first    [OutboxSize]int        // of each head, in order
	controls [OutboxSize][segmentSpace]byte
	single   bool // the system does not cut packets up for this socket or device
}

// segmentSpace is how many octets there are for a control message with UDP_SEGMENT.
const segmentSpace = unix.SizeofCmsghdr + 8

// Send sends the first n packets over one socket. It never waits; it tells of each
// packet that the system would not take.
func (out *Outbox) Send(fd, n int, failed func(i int, err syscall.Errno)) {
	which := out.order[:n]
	for i := range which {
		which[i] = i
	}
	heads := out.arrange(which)
	again := false
	for sent := 0; sent < heads; {
		done, errno := out.send(fd, sent, heads)
		switch {
		case errno == 0:
			sent += done
			again = false
		case !again && (errno == unix.ECONNREFUSED || errno == unix.EINTR):
			// The error of an earlier packet may be reported in the place of sending this
			// one; who waits for that one is told when it is not answered.
			again = true
		case out.heads[sent].Iovlen > 1 && !out.single:
			out.single = true // an old system, or a device that cannot
			which = which[out.first[sent]:]
			sent, heads = 0, out.arrange(which)
		default:
			for _, i := range which[out.first[sent]:][:out.heads[sent].Iovlen] {
				failed(i, errno)
			}
			sent++
			again = false
		}
	}
}

// arrange makes the heads of packets, and tells how many there are. Packets of one length,
// and one that is shorter, have one head: they are one packet to the system, which cuts it
// up late (UDP_SEGMENT of udp(7)). That costs a part of what it costs to send each.
func (out *Outbox) arrange(which []int) (heads int) {
	if !out.single {
		slices.SortFunc(which, func(a, b int) int { return out.Sizes[b] - out.Sizes[a] })
	}
	length, open := 0, false // of the packets of the last head but the shorter one, which closes it
	for at, i := range which {
		size := out.Sizes[i]
		out.parts[at].Base = &out.Rooms[i][0]
		out.parts[at].SetLen(size)
		if open {
			out.heads[heads-1].SetIovlen(at - out.first[heads-1] + 1)
			out.cutUp(heads-1, length)
			open = size == length
			continue
		}
		head := &out.heads[heads]
		head.Iov, head.Control = &out.parts[at], nil
		head.SetIovlen(1)
		head.SetControllen(0)
		out.first[heads], length, open = at, size, !out.single
		heads++
	}
	return heads
}

// cutUp has the system make packets of a length of what a head sends.
func (out *Outbox) cutUp(head, length int) {
	control := &out.controls[head]
	header := (*unix.Cmsghdr)(unsafe.Pointer(control))
	header.Level, header.Type = unix.IPPROTO_UDP, unix.UDP_SEGMENT
	header.SetLen(unix.CmsgLen(2))
	binary.NativeEndian.PutUint16(control[unix.CmsgLen(0):], uint16(length))
	out.heads[head].Control = &control[0]
	out.heads[head].SetControllen(segmentSpace)
}

// send sends packets by one system call, the shorter one if it is a single packet.
func (out *Outbox) send(fd, from, to int) (int, syscall.Errno) {
	if to-from > 1 || out.heads[from].Iovlen > 1 {
		return Send(fd, out.heads[from:to])
	}
	part := out.heads[from].Iov
	_, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(part.Base)), uintptr(part.Len),
		unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, 0, 0)
	return 1, errno
}
