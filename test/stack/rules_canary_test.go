package stack

const (
	deployGroupType = "AWS::CodeDeploy::DeploymentGroup"
	deployAppType   = "AWS::CodeDeploy::Application"
)

// canaryPolicy is the one of AWS's own policies in the templates.
var canaryPolicy = map[string]any{"Fn::Join": []any{"", []any{"arn:", ref("AWS::Partition"), ":iam::aws:policy/service-role/AWSCodeDeployRoleForLambdaLimited"}}}

var canaryRules = []rule{{
	name: "canary", why: "a version that crashes must get a tenth of the requests only, and an outage of AWS must not end the deployment that answers it",
	check: func(d deployment) (f findings) {
		groups, apps := d.template.of(deployGroupType), d.template.of(deployAppType)
		alias := d.template.Resources[d.template.id("AWS::Lambda::Alias", "Live")]
		if d.stage.CanaryMinutes == 0 {
			f.want("canaries of a stage without one", append(groups, apps...), []string(nil))
			f.want("how the alias is moved", alias.UpdatePolicy, nil)
			return f
		}
		group := d.template.props(deployGroupType, "CanaryGroup")
		f.want("the group", map[string]any(group), map[string]any{
			"ApplicationName": ref("Canary"), "ServiceRoleArn": getAtt(d.template.id("AWS::IAM::Role", "CanaryRole"), "Arn"),
			"DeploymentConfigName":      "CodeDeployDefault.LambdaCanary10Percent10Minutes",
			"DeploymentStyle":           map[string]any{"DeploymentType": "BLUE_GREEN", "DeploymentOption": "WITH_TRAFFIC_CONTROL"},
			"AutoRollbackConfiguration": map[string]any{"Enabled": true, "Events": []any{"DEPLOYMENT_FAILURE", "DEPLOYMENT_STOP_ON_ALARM", "DEPLOYMENT_STOP_ON_REQUEST"}},
			"AlarmConfiguration":        map[string]any{"Enabled": true, "Alarms": []any{map[string]any{"Name": "NylasWebhooks-full-ReceiverErrors"}}},
		})
		f.want("the alarm before the group", d.template.Resources["CanaryGroup"].DependsOn, []any{d.template.id(alarmType, "ReceiverErrorsAlarm")})
		f.want("what it moves", d.template.props(deployAppType, "Canary").at("ComputePlatform"), "Lambda")
		f.want("how the alias is moved", alias.UpdatePolicy, map[string]any{"CodeDeployLambdaAliasUpdate": map[string]any{
			"ApplicationName": ref("Canary"), "DeploymentGroupName": ref("CanaryGroup"),
		}})
		role := d.template.props("AWS::IAM::Role", "CanaryRole")
		f.want("who takes the canary's role", role.at("AssumeRolePolicyDocument", "Statement"), []any{map[string]any{
			"Action": "sts:AssumeRole", "Effect": "Allow", "Principal": map[string]any{"Service": "codedeploy.amazonaws.com"},
		}})
		f.want("what the canary may", role.at("ManagedPolicyArns"), []any{canaryPolicy})
		return f
	},
	mutations: []mutation{
		{"all at once", set(deployGroupType, "CanaryGroup", "CodeDeployDefault.LambdaAllAtOnce", "DeploymentConfigName")},
		{"no alarm", set(deployGroupType, "CanaryGroup", nil, "AlarmConfiguration")},
		{"no way back", set(deployGroupType, "CanaryGroup", false, "AutoRollbackConfiguration", "Enabled")},
		{"the alias is moved at once", func(t template) { t.Resources[t.id("AWS::Lambda::Alias", "Live")].UpdatePolicy = nil }},
		{"another takes the role", set("AWS::IAM::Role", "CanaryRole", []any{}, "AssumeRolePolicyDocument", "Statement")},
		{"it may more", set("AWS::IAM::Role", "CanaryRole", []any{"arn:aws:iam::aws:policy/AdministratorAccess"}, "ManagedPolicyArns")},
	},
}}
