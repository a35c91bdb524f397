package wire

// EventType is the prefix of every event's type.
const EventType = "dev.lockgate."

// EventSchema names the version of [EventData].
const EventSchema = "https://lockgate.dev/schemas/event/v1"

// Event is one CloudEvents 1.0 event in JSON, as GET /v1/events streams them.
// An event of type dev.lockgate.gap stands for events that are no longer kept;
// that and what happens to the gateway itself are about no lock.
type Event struct {
	SpecVersion     string    `json:"specversion"`       // "1.0"
	ID              string    `json:"id"`                // place in the log; resume with it in Last-Event-ID
	Source          string    `json:"source"`            // the node that sent it
	Type            string    `json:"type"`              // EventType and a name such as lock_acquired
	Subject         string    `json:"subject,omitempty"` // id of the lock, if it is about one
	Time            Time      `json:"time"`
	DataContentType string    `json:"datacontenttype"` // "application/json"
	DataSchema      string    `json:"dataschema"`      // EventSchema
	TraceParent     string    `json:"traceparent,omitempty"`
	Data            EventData `json:"data"`
}

// EventData is what happened to one lock.
type EventData struct {
	Lock     *Lock     `json:"lock"`             // after the transition; null when it is about none
	Before   string    `json:"before,omitempty"` // its state before; absent when it was not in the table
	After    string    `json:"after,omitempty"`
	Reason   string    `json:"reason,omitempty"`
	Deadlock *Deadlock `json:"deadlock,omitempty"` // that the lock gave way or moved in
	By       string    `json:"by,omitempty"`       // who did it, when that was not the lock's subject
}
