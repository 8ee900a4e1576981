package listen

import (
	"encoding/binary"

	"github.com/miekg/dns"

	"pldns/resolver/wire"
)

// badKey makes the TSIG record that says "I do not know this key" to the one in
// rec, or gives nil if rec is malformed. No key is known here, and RFC 8945
// section 5.2.1 wants NOTAUTH with BADKEY, unsigned: it costs no cryptography and
// tells the person at the other end what is wrong, where an unsigned answer would
// only look forged to the signer.
func badKey(packet []byte, rec wire.Record, id uint16) []byte {
	data := wire.Reader{Message: packet[rec.Data:rec.End]}
	if compressed, ok := data.Name(); compressed || !ok {
		return nil
	}
	algorithm, rest := data.Message[:data.At], data.Message[data.At:]
	const timeAndFudge = 8
	if len(rest) < timeAndFudge+2 {
		return nil
	}
	when := rest[:timeAndFudge]
	mac := int(binary.BigEndian.Uint16(rest[timeAndFudge:]))
	rest = rest[timeAndFudge+2:]
	const tail = 6 // original id, error, length of other data
	if len(rest) < mac+tail || len(rest) != mac+tail+int(binary.BigEndian.Uint16(rest[mac+4:])) {
		return nil
	}
	key, _, err := dns.UnpackDomainName(packet, rec.Owner)
	if err != nil {
		return nil
	}
	var owner [wire.MaxName]byte
	end, err := dns.PackDomainName(key, owner[:], 0, nil, false)
	if err != nil {
		return nil
	}

	out := append([]byte(nil), owner[:end]...)
	out = binary.BigEndian.AppendUint16(out, dns.TypeTSIG)
	out = binary.BigEndian.AppendUint16(out, dns.ClassANY)
	out = binary.BigEndian.AppendUint32(out, 0)
	out = binary.BigEndian.AppendUint16(out, uint16(len(algorithm)+timeAndFudge+2+tail))
	out = append(out, algorithm...)
	out = append(out, when...)
	out = binary.BigEndian.AppendUint16(out, 0) // no MAC
	out = binary.BigEndian.AppendUint16(out, id)
	out = binary.BigEndian.AppendUint16(out, dns.RcodeBadKey)
	return binary.BigEndian.AppendUint16(out, 0)
}
