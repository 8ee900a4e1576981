//go:build !portable

package listen

import (
	"encoding/binary"
	"net/netip"
	"strconv"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"pldns/resolver"
)

const (
	// batchSize is how many packets are read or sent by one system call.
	batchSize = 32
	// packetStride is how far apart packets are read to: room for the largest, and
	// a little more, so that their beginnings do not compete for the same lines of
	// the processor's cache.
	packetStride = largestPacket + 1 + 2048 + 64
)

// mmsghdr is struct mmsghdr of recvmmsg(2) and sendmmsg(2).
type mmsghdr struct {
	unix.Msghdr
	size uint32 // of what was read or sent
}

// batch is the room for the packets that are read by one system call, and for
// the replies that are sent by another. It is made once for each reader. A packet
// and what belongs to it are valid until the next call of receive.
type batch struct {
	wildcard bool

	in       [batchSize]mmsghdr
	inData   [batchSize]unix.Iovec
	names    [batchSize]unix.RawSockaddrInet6 // room for either family
	controls [batchSize][controlSize]byte
	packets  []byte

	out     [batchSize]mmsghdr
	outData [batchSize]unix.Iovec
	outTo   [batchSize]int // which packet it replies to
	replies [batchSize][resolver.UDPSize]byte

	read, filled, sent int
}

func newBatch(wildcard bool) *batch {
	b := &batch{wildcard: wildcard, packets: make([]byte, batchSize*packetStride)}
	for i := range b.in {
		b.inData[i].Base = &b.packets[i*packetStride]
		b.inData[i].SetLen(largestPacket)
		head := &b.in[i]
		head.Name = (*byte)(unsafe.Pointer(&b.names[i]))
		head.Iov = &b.inData[i]
		head.SetIovlen(1)
		if wildcard {
			head.Control = &b.controls[i][0]
		}
		b.rearm(i)

		b.outData[i].Base = &b.replies[i][0]
		b.out[i].Iov = &b.outData[i]
		b.out[i].SetIovlen(1)
	}
	return b
}

// rearm resets what the system overwrites when it reads packet i.
func (b *batch) rearm(i int) {
	b.in[i].Namelen = unix.SizeofSockaddrInet6
	if b.wildcard {
		b.in[i].SetControllen(controlSize)
	}
}

// receive reads what is there, by a call with the given flags, and tells how many
// packets that are. The call is over at once, or is made by a reader that holds a
// processor of the Go runtime meanwhile: the scheduler is not told of it. That
// would cost more than it can gain, because it takes the processor away from a
// reader that is back soon.
func (b *batch) receive(fd int, flags uintptr) (int, syscall.Errno) {
	for i := range b.read {
		b.rearm(i)
	}
	b.read, b.filled, b.sent = 0, 0, 0
	read, _, err := unix.RawSyscall6(unix.SYS_RECVMMSG, uintptr(fd), uintptr(unsafe.Pointer(&b.in[0])), batchSize, flags, 0, 0)
	if err == 0 {
		b.read = int(read)
	}
	return b.read, err
}

// packet is packet i.
func (b *batch) packet(i int) []byte {
	return b.packets[i*packetStride:][:b.in[i].size]
}

// control are the control messages of packet i.
func (b *batch) control(i int) []byte {
	if !b.wildcard {
		return nil
	}
	return b.controls[i][:b.in[i].Controllen]
}

// peer is who sent packet i, as package net would say.
func (b *batch) peer(i int) netip.AddrPort {
	name := &b.names[i]
	port := binary.BigEndian.Uint16((*[2]byte)(unsafe.Pointer(&name.Port))[:])
	if name.Family == unix.AF_INET {
		name4 := (*unix.RawSockaddrInet4)(unsafe.Pointer(name))
		return netip.AddrPortFrom(netip.AddrFrom4(name4.Addr), port)
	}
	addr := netip.AddrFrom16(name.Addr)
	if name.Scope_id != 0 {
		addr = addr.WithZone(strconv.FormatUint(uint64(name.Scope_id), 10))
	}
	return netip.AddrPortFrom(addr, port)
}

// room is where the next reply is to be written.
func (b *batch) room() []byte { return b.replies[b.filled][:] }

// reply has the octets that were written to room sent as the reply to packet i,
// with the control message of the reply.
func (b *batch) reply(i, size int, control []byte) {
	head := &b.out[b.filled]
	b.outData[b.filled].SetLen(size)
	head.Name, head.Namelen = b.in[i].Name, b.in[i].Namelen
	head.Control = nil
	if len(control) > 0 {
		head.Control = &control[0]
	}
	head.SetControllen(len(control))
	b.outTo[b.filled] = i
	b.filled++
}

// send sends the replies, and tells of those that the system would not take.
func (b *batch) send(fd int, failed func(to netip.AddrPort, err error)) {
	for b.sent < b.filled {
		if err := b.sendSome(fd); err != 0 && err != unix.EINTR {
			failed(b.peer(b.outTo[b.sent]), err)
			b.sent++
		}
	}
}

// sendSome sends as many replies as there is room for in the system, and waits for
// that only if there is none.
func (b *batch) sendSome(fd int) syscall.Errno {
	head, count := uintptr(unsafe.Pointer(&b.out[b.sent])), uintptr(b.filled-b.sent)
	sent, _, err := unix.RawSyscall6(unix.SYS_SENDMMSG, uintptr(fd), head, count, unix.MSG_DONTWAIT, 0, 0)
	if err == unix.EAGAIN {
		sent, _, err = unix.Syscall6(unix.SYS_SENDMMSG, uintptr(fd), head, 1, 0, 0, 0)
	}
	if err == 0 {
		b.sent += int(sent)
	}
	return err
}
