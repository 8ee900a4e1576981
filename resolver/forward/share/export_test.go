package share

// Shares is how many shares a quota knows of.
func Shares(q *Quota) int { return len(q.tree.shares) + q.due.len() }

// QueueShares is how many shares a queue knows of.
func QueueShares(q *Queue) int { return len(q.tree.shares) + q.due.len() }
