package orchestrator

import (
	"errors"
	"time"

	"github.com/lockgate/lockgate/core/lock"
)

// Config sizes the worker pool.
type Config struct {
	WorkerCount       int `yaml:"worker_count"`        // workers that hand batches to the store; default 8
	RequestBufferSize int `yaml:"request_buffer_size"` // calls that may wait for a worker, acquires and endings each; beyond: 429; default 1000
	BatchSize         int `yaml:"batch_size"`          // steps a worker hands over at once; default 64
}

// DefaultConfig is the pool of a gateway without configuration.
func DefaultConfig() Config {
	return Config{WorkerCount: 8, RequestBufferSize: 1000, BatchSize: 64}
}

// Validate answers all faults joined.
func (c *Config) Validate() error {
	return errors.Join(
		atLeastOne(c.WorkerCount, "worker_count"),
		atLeastOne(c.RequestBufferSize, "request_buffer_size"),
		atLeastOne(c.BatchSize, "batch_size"),
	)
}

// QueueConfig bounds waiting and holding. Policy may set less, never more.
type QueueConfig struct {
	MaxQueueSize     int           `yaml:"max_queue_size"`     // waiting requests a resource; default 1000
	Aging            lock.Aging    `yaml:"aging"`              // wait that is worth one point of priority; strict: none is; 0s: FIFO; default 3.6s
	OfferTimeout     time.Duration `yaml:"offer_timeout"`      // for an open call to confirm; default 3s
	PollOfferTimeout time.Duration `yaml:"poll_offer_timeout"` // for a caller that was answered 202 to confirm; default 30s
	WaiterGrace      time.Duration `yaml:"waiter_grace"`       // a place is kept that long after its call broke; default 30s
	MaxWait          time.Duration `yaml:"max_wait"`           // longest wait; default 24h
	MaxTTL           time.Duration `yaml:"max_ttl"`            // longest lease; 0s: no bound, locks may be held until released; default 0s
}

// DefaultQueueConfig is the queue of a gateway without configuration.
func DefaultQueueConfig() QueueConfig {
	r := lock.DefaultRules()
	return QueueConfig{
		MaxQueueSize: 1000, Aging: r.Aging, OfferTimeout: r.OfferTimeout, PollOfferTimeout: r.PollOfferTimeout,
		WaiterGrace: 30 * time.Second, MaxWait: 24 * time.Hour,
	}
}

// Validate answers all faults joined.
func (c *QueueConfig) Validate() error {
	r := c.Rules()
	faults := []error{atLeastOne(c.MaxQueueSize, "max_queue_size"), r.Validate()}
	if c.WaiterGrace < time.Second {
		faults = append(faults, errors.New("waiter_grace must be at least 1s"))
	}
	if c.MaxWait < time.Millisecond {
		faults = append(faults, errors.New("max_wait must be at least 1ms"))
	}
	if c.MaxTTL < 0 {
		faults = append(faults, errors.New("max_ttl must not be negative"))
	}
	return errors.Join(faults...)
}

// Rules are the settings that the store obeys.
func (c *QueueConfig) Rules() lock.Rules {
	r := lock.DefaultRules()
	r.Aging, r.OfferTimeout, r.PollOfferTimeout = c.Aging, c.OfferTimeout, c.PollOfferTimeout
	return r
}

func atLeastOne(n int, name string) error {
	if n < 1 {
		return errors.New(name + " must be at least 1")
	}
	return nil
}
