package deployment

import (
	"context"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
)

// Resources are the parts of a stage's stack that no output names.
type Resources struct {
	ReceiverLogs, AccessLogs string // log group names
	// Pages and Tickets are the ARNs of the topics that the alarms tell.
	Pages, Tickets string
}

// FindResources looks them up by their roles in the stack (infra/webhooks), to whose
// names CloudFormation adds eight characters.
func FindResources(ctx context.Context, stacks cloudformation.ListStackResourcesAPIClient, stage string) (Resources, error) {
	var r Resources
	type role struct{ kind, name string }
	wanted := map[role]*string{
		{"AWS::Logs::LogGroup", "ReceiverLogs"}: &r.ReceiverLogs,
		{"AWS::Logs::LogGroup", "AccessLogs"}:   &r.AccessLogs,
		{"AWS::SNS::Topic", "Pages"}:            &r.Pages,
		{"AWS::SNS::Topic", "Tickets"}:          &r.Tickets,
	}
	name := stackPrefix + stage
	pages := cloudformation.NewListStackResourcesPaginator(stacks, &cloudformation.ListStackResourcesInput{StackName: &name})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return r, fmt.Errorf("list the resources of stack %s: %w", name, err)
		}
		for _, resource := range page.StackResourceSummaries {
			id, hash := aws.ToString(resource.LogicalResourceId), 8
			for role, field := range wanted {
				if aws.ToString(resource.ResourceType) == role.kind && len(id) == len(role.name)+hash && strings.HasPrefix(id, role.name) {
					*field = aws.ToString(resource.PhysicalResourceId)
				}
			}
		}
	}
	for role, field := range wanted {
		if *field == "" {
			return r, fmt.Errorf("stack %s has no %s (%s). Deploy the stage again (%s), or use the hookctl of the version that is deployed", name, role.name, role.kind, deployCommand(stage))
		}
	}
	return r, nil
}
