#!/usr/bin/env bash
# Gives the repository on GitHub what the stacks in AWS know by now, and AWS the keys whose releases count: tools/github.sh OWNER/REPO.
# Run it after omni-bootstrap and again after omni-registry; what somebody has set up on GitHub stays.
set -euo pipefail
repository=${1:?name the repository, as in owner/name}

output() {
  aws cloudformation describe-stacks --stack-name omni-bootstrap --output text \
    --query "Stacks[0].Outputs[?OutputKey=='$1'].OutputValue"
}

set_variable() { gh variable set "$2" --repo "$repository" --env "$1" --body "$3"; }

# Made only if it is missing, since making it anew would take its reviewers away; whoever makes it is the first.
make_environment() {
  local reviewers='[]' branches='{"protected_branches": false, "custom_branch_policies": true}'
  gh api "repos/$repository/environments/$1" >/dev/null 2>&1 && return
  [[ $1 != @(production|evaluation) ]] || reviewers="[{\"type\": \"User\", \"id\": $(gh api user --jq .id)}]"
  [ "$1" != evaluation ] || branches=null # it evaluates branches
  gh api --method PUT "repos/$repository/environments/$1" --input - >/dev/null \
    <<<"{\"reviewers\": $reviewers, \"deployment_branch_policy\": $branches}"
  [ "$branches" = null ] ||
    gh api --method POST "repos/$repository/environments/$1/deployment-branch-policies" -f name=main >/dev/null
}

for pair in image:Image evaluation:Evaluation production:Production on-call:OnCall; do
  environment=${pair%%:*}
  variables=$(output "${pair#*:}Variables")
  make_environment "$environment"
  while IFS== read -r name value; do set_variable "$environment" "$name" "$value"; done <<<"$variables"
done

# The workflow `image` looks at it before its environment is known.
gh variable set OMNI_IMAGE_REPOSITORY --repo "$repository" --body "$(output ImageVariables | sed -n 's/^OMNI_IMAGE_REPOSITORY=//p')"

key=$(output ProductionVariables | sed -n 's/^OMNI_SIGNING_KMS_KEY=//p')
public=$(aws kms get-public-key --key-id "$key" --query PublicKey --output text | base64 -d | openssl pkey -pubin -inform DER)
# Keys that somebody has put there stay: releases that they signed count as well.
aws ssm get-parameter --name /omni/trusted-keys >/dev/null 2>&1 ||
  aws ssm put-parameter --name /omni/trusted-keys --type String --value "$public" >/dev/null
trusted=$(aws ssm get-parameter --name /omni/trusted-keys --query Parameter.Value --output text)
for environment in production on-call; do set_variable "$environment" OMNI_TRUSTED_KEYS_PEM "$trusted"; done

for name in OMNI_SERVICE_URL OMNI_CANARY_ACCOUNT; do
  gh variable list --repo "$repository" --env production | cut -f1 | grep -qx "$name" ||
    echo "The workflow deploy needs one more variable: gh variable set $name --repo $repository --env production --body ..."
done

said=$(mktemp)
trap 'rm -f "$said"' EXIT
if password=$(aws secretsmanager get-secret-value --secret-id omni-registry-writer --query SecretString --output text 2>"$said"); then
  gh variable set OMNI_CODEBUILD --repo "$repository" --body omni
  for environment in production on-call; do
    gh secret set OMNI_REGISTRY_URI --repo "$repository" --env "$environment" --body http://mlflow.omni.internal:5000
    gh secret set OMNI_REGISTRY_PASSWORD --repo "$repository" --env "$environment" --body "$password"
  done
  echo "GitHub and AWS know each other; the workflows promote and rollback can run, and deploy with all its variables."
elif ! grep -q ResourceNotFoundException "$said"; then
  cat "$said" >&2
  exit 1
else
  echo "GitHub and AWS know each other; run this again when omni-registry is deployed."
fi
