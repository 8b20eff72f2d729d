package contract

import "time"

// PreviousSecretLifetime is how long the secret's previous version (AWSPREVIOUS) still
// verifies after the current one (AWSCURRENT) was created. Nylas's last retry comes
// within 20 minutes; a key that leaked dies. The receiver keeps to it, and the
// operator's tool says until when.
const PreviousSecretLifetime = 60 * time.Minute
