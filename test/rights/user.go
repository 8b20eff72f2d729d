package rights

import (
	"context"
	"encoding/json"
	"os"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/iam"
)

// User is somebody who may do nothing but what policies say.
type User struct {
	Name string
	AWS  aws.Config
	// Env are the credentials for a program that is started.
	Env []string
}

// NewUser makes a user with these managed policies.
func NewUser(ctx context.Context, root aws.Config, name string, policyARNs ...string) (User, error) {
	client := iam.NewFromConfig(root)
	if _, err := client.CreateUser(ctx, &iam.CreateUserInput{UserName: &name}); err != nil {
		return User{}, err
	}
	for _, arn := range policyARNs {
		if _, err := client.AttachUserPolicy(ctx, &iam.AttachUserPolicyInput{UserName: &name, PolicyArn: &arn}); err != nil {
			return User{}, err
		}
	}
	made, err := client.CreateAccessKey(ctx, &iam.CreateAccessKeyInput{UserName: &name})
	if err != nil {
		return User{}, err
	}
	id, key := aws.ToString(made.AccessKey.AccessKeyId), aws.ToString(made.AccessKey.SecretAccessKey)
	u := User{Name: name, AWS: root.Copy(), Env: []string{"AWS_ACCESS_KEY_ID=" + id, "AWS_SECRET_ACCESS_KEY=" + key}}
	u.AWS.Credentials = credentials.NewStaticCredentialsProvider(id, key, "")
	return u, nil
}

// Allow gives the user a policy of his own, in place of the one that an earlier Allow gave.
func (u User) Allow(ctx context.Context, root aws.Config, p Policy) error {
	text, err := json.Marshal(p)
	if err != nil {
		return err
	}
	_, err = iam.NewFromConfig(root).PutUserPolicy(ctx, &iam.PutUserPolicyInput{
		UserName: &u.Name, PolicyName: aws.String("own"), PolicyDocument: aws.String(string(text)),
	})
	return err
}

// Environ is this process's environment with the user's credentials.
func (u User) Environ() []string { return append(os.Environ(), u.Env...) }
