//go:build !portable

package udpio

import (
	"encoding/binary"
	"net/netip"
	"strconv"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// BatchSize is how many packets are read or sent by one system call.
	BatchSize = 32
	// ReplyRoom is room in octets for any reply: they are small enough to pass every path
	// in one piece.
	ReplyRoom = 1280
	// packetStride is how far apart packets are read to: room for the largest, and
	// a little more, so that their beginnings do not compete for the same lines of
	// the processor's cache.
	packetStride = LargestPacket + 1 + 2048 + 64
)

// Batch holds the buffers for the packets of clients that are read by one system call, and for
// the replies that are sent by another. It is made once for each reader. A packet
// and what belongs to it are valid until the next call of Receive.
type Batch struct {
	wildcard bool

	in       [BatchSize]Message
	inData   [BatchSize]unix.Iovec
	names    [BatchSize]unix.RawSockaddrInet6 // room for either family
	controls [BatchSize][ControlSize]byte
	packets  []byte

	out         [BatchSize]Message
	outData     [BatchSize]unix.Iovec
	outTo       [BatchSize]netip.AddrPort
	outNames    [BatchSize]unix.RawSockaddrInet6 // of those that reply to no packet that was just read
	outControls [BatchSize][ControlSize]byte     // likewise
	replies     [BatchSize][ReplyRoom]byte

	read, filled, sent int
}

// NewBatch makes the buffers of a socket, which is wildcard if it is bound to all local
// addresses: then control messages say which one a packet was sent to.
func NewBatch(wildcard bool) *Batch {
	b := &Batch{wildcard: wildcard, packets: make([]byte, BatchSize*packetStride)}
	for i := range b.in {
		b.inData[i].Base = &b.packets[i*packetStride]
		b.inData[i].SetLen(LargestPacket)
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
func (b *Batch) rearm(i int) {
	b.in[i].Namelen = unix.SizeofSockaddrInet6
	if b.wildcard {
		b.in[i].SetControllen(ControlSize)
	}
}

// Receive reads what is there, by a call with the given flags, and tells how many
// packets that are. All replies have been sent.
func (b *Batch) Receive(fd int, flags int) (int, syscall.Errno) {
	for i := range b.read {
		b.rearm(i)
	}
	read, errno := Receive(fd, b.in[:], flags)
	b.read = read
	return read, errno
}

// Packet is packet i.
func (b *Batch) Packet(i int) []byte {
	return b.packets[i*packetStride:][:b.in[i].Size]
}

// Control are the control messages of packet i.
func (b *Batch) Control(i int) []byte {
	if !b.wildcard {
		return nil
	}
	return b.controls[i][:b.in[i].Controllen]
}

// Peer is who sent packet i, as package net would say.
func (b *Batch) Peer(i int) netip.AddrPort {
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

// Room is where the next reply is to be written.
func (b *Batch) Room() []byte { return b.replies[b.filled][:] }

// Full tells whether replies have to be sent before there is room for another.
func (b *Batch) Full() bool { return b.filled == BatchSize }

// Reply has the octets that were written to Room sent as the reply to packet i,
// with the control message of the reply.
func (b *Batch) Reply(i, size int, to netip.AddrPort, control []byte) {
	head := &b.out[b.filled]
	head.Name, head.Namelen = b.in[i].Name, b.in[i].Namelen
	head.Control = unsafe.SliceData(control)
	b.fill(head, size, to, len(control))
}

// ReplyLate is Reply to a packet that was read before.
func (b *Batch) ReplyLate(size int, to netip.AddrPort, control []byte) {
	head, name := &b.out[b.filled], &b.outNames[b.filled]
	head.Name, head.Namelen = (*byte)(unsafe.Pointer(name)), putAddress(name, to)
	head.Control = &b.outControls[b.filled][0]
	b.fill(head, size, to, copy(b.outControls[b.filled][:], control))
}

func (b *Batch) fill(head *Message, size int, to netip.AddrPort, control int) {
	if control == 0 {
		head.Control = nil
	}
	head.SetControllen(control)
	b.outData[b.filled].SetLen(size)
	b.outTo[b.filled] = to
	b.filled++
}

// Waiting tells whether there are replies to send.
func (b *Batch) Waiting() bool { return b.filled > 0 }

// Send sends the replies, and tells of those that the system would not take.
func (b *Batch) Send(fd int, failed func(to netip.AddrPort, err error)) {
	for b.sent < b.filled {
		if err := b.sendSome(fd); err != 0 && err != unix.EINTR {
			failed(b.outTo[b.sent], err)
			b.sent++
		}
	}
	b.filled, b.sent = 0, 0
}

// sendSome sends as many replies as there is room for in the system, and waits for
// that only if there is none.
func (b *Batch) sendSome(fd int) syscall.Errno {
	sent, errno := Send(fd, b.out[b.sent:b.filled])
	if errno == unix.EAGAIN {
		sent, errno = SendWaiting(fd, b.out[b.sent:b.filled])
	}
	b.sent += sent
	return errno
}
