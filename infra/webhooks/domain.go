package webhooks

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsapigateway"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsroute53"
	"github.com/aws/jsii-runtime-go"

	"github.com/onepagecrm/nylas-webhooks/infra/findings"
	"github.com/onepagecrm/nylas-webhooks/infra/stages"
)

// newDomain lets the API be called by the stage's own name, which is what is registered at
// Nylas and so has to outlive the API. Where the hosted zone is known, the DNS record is made
// here; else the output DomainTarget says where it has to lead.
// https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-regional-api-custom-domain-create.html
func newDomain(stack awscdk.Stack, domain *stages.Domain, endpoint endpoint) {
	if domain == nil {
		return
	}
	// The L1: the L2 knows the older security policies only.
	name := awsapigateway.NewCfnDomainName(stack, jsii.String("Domain"), &awsapigateway.CfnDomainNameProps{
		DomainName:             &domain.Name,
		RegionalCertificateArn: &domain.CertificateARN,
		EndpointConfiguration:  map[string]any{"types": []string{"REGIONAL"}},
		SecurityPolicy:         jsii.String(tlsPolicy),
		EndpointAccessMode:     jsii.String(accessMode),
	})
	findings.Accept(name, "not so: the policy allows TLS 1.2 and 1.3 only; the rule knows none of the newer names", "CT.APIGATEWAY.PR.6")
	// Without a base path, so that the URL is https://<name>/nylas.
	awsapigateway.NewCfnBasePathMapping(stack, jsii.String("DomainMapping"), &awsapigateway.CfnBasePathMappingProps{
		DomainName: name.Ref(),
		RestApiId:  endpoint.api.RestApiId(),
		Stage:      endpoint.stage.StageName(),
	})
	if domain.HostedZoneID == "" {
		output(stack, "DomainTarget", "Let a CNAME record of the domain lead here", name.AttrRegionalDomainName())
		return
	}
	awsroute53.NewCfnRecordSet(stack, jsii.String("DomainRecord"), &awsroute53.CfnRecordSetProps{
		HostedZoneId: &domain.HostedZoneID,
		Name:         &domain.Name,
		Type:         jsii.String("A"),
		AliasTarget: &awsroute53.CfnRecordSet_AliasTargetProperty{
			DnsName:      name.AttrRegionalDomainName(),
			HostedZoneId: name.AttrRegionalHostedZoneId(),
		},
	})
}
