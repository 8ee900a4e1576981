//go:build !portable

package udpio

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Message is struct mmsghdr of recvmmsg(2) and sendmmsg(2).
type Message struct {
	unix.Msghdr
	Size uint32 // of what was read or sent, in octets
}

// Receive reads what is there into messages, by a call with the given flags, and tells
// how many packets that are. The scheduler is not told of the call, because it is over
// at once, or is made by a reader that holds a processor of the Go runtime meanwhile: to
// tell it would cost more than it can gain, since it takes the processor away from a
// reader that is back soon.
func Receive(fd int, messages []Message, flags int) (int, syscall.Errno) {
	read, _, errno := unix.RawSyscall6(unix.SYS_RECVMMSG, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(messages))),
		uintptr(len(messages)), uintptr(flags), 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(read), 0
}

// Send sends messages as far as there is room for them in the system, and tells how many
// it has sent. It never waits.
func Send(fd int, messages []Message) (int, syscall.Errno) {
	sent, _, errno := unix.RawSyscall6(unix.SYS_SENDMMSG, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(messages))),
		uintptr(len(messages)), unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(sent), 0
}

// SendWaiting sends the first of messages, and waits for room as long as the socket says.
func SendWaiting(fd int, messages []Message) (int, syscall.Errno) {
	sent, _, errno := unix.Syscall6(unix.SYS_SENDMMSG, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(messages))),
		1, unix.MSG_NOSIGNAL, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(sent), 0
}

const (
	// inboxSize is how many packets of an upstream server are read by one system call.
	inboxSize = 32
	// PacketSize is the longest datagram in octets that is read from an upstream server;
	// servers that heed what they are told send less.
	PacketSize = 4096
)

// Inbox is room for packets that connected sockets read: who sent them is known. What it
// holds is valid until the next call of Read.
type Inbox struct {
	heads   [inboxSize]Message
	parts   [inboxSize]unix.Iovec
	packets [inboxSize][PacketSize]byte
}

// NewInbox makes an Inbox.
func NewInbox() *Inbox {
	in := new(Inbox)
	for i := range in.heads {
		in.parts[i].Base = &in.packets[i][0]
		in.parts[i].SetLen(PacketSize)
		in.heads[i].Iov = &in.parts[i]
		in.heads[i].SetIovlen(1)
	}
	return in
}

// Read reads what is there, at most so many packets, and never waits.
func (in *Inbox) Read(fd, most int) (int, syscall.Errno) {
	if most > 1 {
		return Receive(fd, in.heads[:min(most, inboxSize)], unix.MSG_DONTWAIT)
	}
	n, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(&in.packets[0])),
		PacketSize, unix.MSG_DONTWAIT, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	in.heads[0].Size = uint32(n)
	return 1, 0
}

// Packet is packet i of those that were read last.
func (in *Inbox) Packet(i int) []byte { return in.packets[i][:in.heads[i].Size] }
