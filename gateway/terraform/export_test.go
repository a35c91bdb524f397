package terraform

import "github.com/lockgate/lockgate/core/lock"

// DecodeInfo reads LockInfo.
var DecodeInfo = decodeInfo

// Kept answers the LockInfo as the door finds it again in a lock that has it as
// its context, with that context.
func (i *Info) Kept() (Info, []byte, error) {
	document, err := i.context()
	return infoOf(&lock.Lock{Owner: i.owner(), Context: document}), document, err
}

// MaxInfoBytes bounds the body of a call.
const MaxInfoBytes = maxInfoBytes
