// Package identity knows who acts: accounts with argon2id secrets, lock-out and
// back-off, sessions kept in the database, and API clients with digested keys,
// optional HMAC-SM3 signatures and address lists.
//
// It stands below the door (package operation), so it writes through functions
// that take a transaction (…Tx); their callers, org, console and api, run them
// inside operation.Do. Session touches and failed log-ins are the exceptions that
// the architecture's list of writers names.
package identity
