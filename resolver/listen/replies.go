package listen

import (
	"sync/atomic"

	"pldns/resolver"
	"pldns/resolver/listen/replycache"
)

// replyCaches are the finished replies of the snapshot that answers: each snapshot has a
// reply cache of its own, which is dropped when the first query meets the next one.
type replyCaches struct {
	held atomic.Pointer[repliesOf]
}

// repliesOf are the finished replies of one snapshot.
type repliesOf struct {
	snapshot *resolver.Snapshot
	cache    *replycache.Cache
}

// of gives the reply cache of a snapshot. Who still holds the snapshot before may take
// the place once more: that costs replies, and mixes none.
func (r *replyCaches) of(snapshot *resolver.Snapshot) *replycache.Cache {
	for {
		held := r.held.Load()
		if held != nil && held.snapshot == snapshot {
			return held.cache
		}
		next := &repliesOf{snapshot, replycache.New()}
		if r.held.CompareAndSwap(held, next) {
			return next.cache
		}
	}
}

// ForgetReplies drops all finished replies, and those that are being decided: the next
// query of each kind is decided anew. It may be called at any time.
func (s *Server) ForgetReplies() {
	if held := s.replies.held.Load(); held != nil {
		held.cache.Forget()
	}
}
