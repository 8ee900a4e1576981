package share

// ranked is what a [ranking] holds. Slot tells apart the rankings that one element
// is in.
type ranked[T any] interface {
	comparable
	before(other T, slot int) bool
	place(slot int) *int32 // where the ranking notes the place of the element
}

// ranking keeps elements so that the first is found at once, and any can be moved
// or removed in logarithmic time (a binary heap).
type ranking[T ranked[T]] struct {
	list []T
	slot int
}

// first is the first element; there must be one.
func (r *ranking[T]) first() T { return r.list[0] }

func (r *ranking[T]) len() int { return len(r.list) }

func (r *ranking[T]) add(x T) {
	r.list = append(r.list, x)
	*x.place(r.slot) = int32(len(r.list) - 1)
	r.up(len(r.list) - 1)
}

// moved puts an element whose order has changed where it belongs.
func (r *ranking[T]) moved(x T) {
	at := int(*x.place(r.slot))
	if !r.up(at) {
		r.down(at)
	}
}

func (r *ranking[T]) remove(x T) {
	at, last := int(*x.place(r.slot)), len(r.list)-1
	moved := r.list[last]
	var none T
	r.list[last] = none
	r.list = r.list[:last]
	if at != last {
		r.put(at, moved)
		r.moved(moved)
	}
	if last < cap(r.list)/8 && cap(r.list) > smallRanking { // after a flood
		r.list = append(make([]T, 0, 2*last), r.list...)
	}
}

// smallRanking is a capacity that is not worth giving back.
const smallRanking = 64

func (r *ranking[T]) put(at int, x T) {
	r.list[at] = x
	*x.place(r.slot) = int32(at)
}

// up moves an element towards the first; moved tells whether it did.
func (r *ranking[T]) up(at int) (moved bool) {
	x := r.list[at]
	for at > 0 {
		parent := (at - 1) / 2
		if !x.before(r.list[parent], r.slot) {
			break
		}
		r.put(at, r.list[parent])
		at, moved = parent, true
	}
	r.put(at, x)
	return moved
}

func (r *ranking[T]) down(at int) {
	x := r.list[at]
	for {
		child := 2*at + 1
		if child >= len(r.list) {
			break
		}
		if next := child + 1; next < len(r.list) && r.list[next].before(r.list[child], r.slot) {
			child = next
		}
		if !r.list[child].before(x, r.slot) {
			break
		}
		r.put(at, r.list[child])
		at = child
	}
	r.put(at, x)
}
