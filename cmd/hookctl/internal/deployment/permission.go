package deployment

import (
	"errors"
	"regexp"
	"slices"
	"strings"

	"github.com/aws/smithy-go"
)

// denials are the codes by which services say that a permission is missing.
var denials = []string{"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "AuthorizationError", "KmsAccessDenied", "KMS.AccessDeniedException"}

// notAuthorized is how AWS names the permission that it missed. SQS writes it in small
// letters, SNS its prefix in large ones.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html
var notAuthorized = regexp.MustCompile(`not authorized to perform: ([A-Za-z0-9-]+:[A-Za-z]+)`)

// LackedPermission tells whether err is AWS's refusal for want of a permission, and which:
// as policies write it ("sqs:SendMessage"), "" where AWS does not say.
func LackedPermission(err error) (permission string, lacked bool) {
	var refused smithy.APIError
	if !errors.As(err, &refused) || !slices.Contains(denials, refused.ErrorCode()) {
		return "", false
	}
	if said := notAuthorized.FindStringSubmatch(refused.ErrorMessage()); said != nil {
		permission = said[1]
	}
	var operation *smithy.OperationError
	if !errors.As(err, &operation) || strings.Contains(strings.ToUpper(refused.ErrorCode()), "KMS") {
		return permission, true // the permission is not that of the operation
	}
	if own := permissionFor(operation); permission == "" || strings.EqualFold(permission, own) {
		permission = own
	}
	return permission, true
}

// permissionFor is the permission that an operation of the services that hookctl calls
// needs. https://docs.aws.amazon.com/service-authorization/latest/reference/
func permissionFor(operation *smithy.OperationError) string {
	service, name := strings.ToLower(strings.ReplaceAll(operation.ServiceID, " ", "")), operation.OperationName
	switch {
	case service == "cloudwatchlogs":
		service = "logs"
	case service == "sqs": // a batch needs what one needs
		name = strings.TrimSuffix(name, "Batch")
	case service == "s3" && name == "ListObjectsV2":
		name = "ListBucket"
	}
	return service + ":" + name
}
