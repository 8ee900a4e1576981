package forward

import "github.com/miekg/dns"

// lowerCase writes the names in records in lower case: their owners, and the names
// in the data of the types whose canonical form is in lower case (RFC 4034 section
// 6.2 as of RFC 6840 section 5.1), so that signatures stay valid. The letter case of
// our own query, which some servers copy into their records, then reaches nobody,
// and equal records look alike. The target of SVCB and HTTPS records is signed as it
// is written, so it is changed only where nobody looks at signatures.
func lowerCase(rrs []dns.RR, signed bool) {
	for _, rr := range rrs {
		h := rr.Header()
		h.Name = dns.CanonicalName(h.Name)
		for _, name := range namesIn(rr, signed) {
			if name != nil {
				*name = dns.CanonicalName(*name)
			}
		}
	}
}

// namesIn are the names in the data of a record that are compared without case.
func namesIn(rr dns.RR, signed bool) (names [2]*string) {
	switch rr := rr.(type) {
	case *dns.CNAME:
		names[0] = &rr.Target
	case *dns.NS:
		names[0] = &rr.Ns
	case *dns.PTR:
		names[0] = &rr.Ptr
	case *dns.MX:
		names[0] = &rr.Mx
	case *dns.SRV:
		names[0] = &rr.Target
	case *dns.SOA:
		names = [2]*string{&rr.Ns, &rr.Mbox}
	case *dns.DNAME:
		names[0] = &rr.Target
	case *dns.RRSIG:
		names[0] = &rr.SignerName
	case *dns.SVCB:
		if !signed {
			names[0] = &rr.Target
		}
	case *dns.HTTPS:
		if !signed {
			names[0] = &rr.Target
		}
	default:
		return rarerNamesIn(rr)
	}
	return names
}

// rarerNamesIn is namesIn for types that are hardly ever asked for.
func rarerNamesIn(rr dns.RR) (names [2]*string) {
	switch rr := rr.(type) {
	case *dns.NAPTR:
		names[0] = &rr.Replacement
	case *dns.RP:
		names = [2]*string{&rr.Mbox, &rr.Txt}
	case *dns.AFSDB:
		names[0] = &rr.Hostname
	case *dns.KX:
		names[0] = &rr.Exchanger
	case *dns.RT:
		names[0] = &rr.Host
	case *dns.PX:
		names = [2]*string{&rr.Map822, &rr.Mapx400}
	case *dns.SIG:
		names[0] = &rr.SignerName
	case *dns.NXT:
		names[0] = &rr.NextDomain
	case *dns.MINFO:
		names = [2]*string{&rr.Rmail, &rr.Email}
	case *dns.MB:
		names[0] = &rr.Mb
	case *dns.MG:
		names[0] = &rr.Mg
	case *dns.MR:
		names[0] = &rr.Mr
	case *dns.MD:
		names[0] = &rr.Md
	case *dns.MF:
		names[0] = &rr.Mf
	}
	return names
}
