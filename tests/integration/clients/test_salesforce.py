"""The Salesforce project: its component's tests, its classes' syntax, and that its parts name each other and our API rightly."""

import json
import re
import shutil
import subprocess
from xml.etree import ElementTree

import pytest

from service.api.feedback import FeedbackRequest
from service.api.insights import InsightsRequest, InsightsResponse
from service.kit.settings import REPO_ROOT

PROJECT = REPO_ROOT / "infra" / "salesforce"
SOURCE = PROJECT / "force-app" / "main" / "default"
NAMESPACE = "{http://soap.sforce.com/2006/04/metadata}"


def metadata(path):
    return ElementTree.parse(SOURCE / path).getroot()


def parameters(path, kind):
    """Return a credential's parameters by their type."""
    found = metadata(path).findall(f"{NAMESPACE}{kind}")
    texts = [{part.tag.removeprefix(NAMESPACE): part.text for part in each} for each in found]
    return {each["parameterType"]: each for each in texts}


@pytest.mark.acceptance("operation-14")
def test_the_credentials_name_each_other_and_our_token_endpoint():
    external = parameters(
        "externalCredentials/OmniInsights.externalCredential-meta.xml", "externalCredentialParameters"
    )
    named = parameters("namedCredentials/OmniInsights.namedCredential-meta.xml", "namedCredentialParameters")
    url = named["Url"]["parameterValue"]
    assert external["AuthProviderUrl"]["parameterValue"] == f"{url}/oauth/token"
    assert external["AuthProtocolVariant"]["parameterValue"] == "ClientCredentialsClientSecretBasic"
    assert external["AuthParameter"]["parameterValue"] == "summaries feedback"
    assert named["Authentication"]["externalCredential"] == "OmniInsights"
    granted = metadata("permissionsets/OmniSummaries.permissionset-meta.xml")
    principal = granted.find(f".//{NAMESPACE}externalCredentialPrincipal").text
    assert principal == f"OmniInsights-{external['NamedPrincipal']['parameterName']}"
    assert "callout:OmniInsights" in (SOURCE / "classes" / "OmniSummaries.cls").read_text(encoding="utf-8")
    assert not any("secret" in path.read_text(encoding="utf-8").replace("ClientSecret", "").lower()
                   for path in SOURCE.rglob("*-meta.xml"))  # fmt: skip


@pytest.mark.acceptance("operation-14")
def test_the_class_sends_and_the_component_reads_fields_that_the_api_has():
    code = (SOURCE / "classes" / "OmniSummaries.cls").read_text(encoding="utf-8")
    sent = set(re.findall(r"'([a-z_]+)' =>|\.put\('([a-z_]+)'", code))
    names = {first or second for first, second in sent} - {"recordId"}
    assert names <= set(InsightsRequest.model_fields) | set(FeedbackRequest.model_fields)
    assert {"account_number", "contact_id", "request_id", "feedback", "edited_summary"} <= names
    read = set(re.findall(r"found\.([a-z_]+)", (SOURCE / "lwc/omniSummary/answers.js").read_text(encoding="utf-8")))
    assert read - {"code"} <= set(InsightsResponse.model_fields)
    exposed = set(re.findall(r"import \w+ from '@salesforce/apex/OmniSummaries\.(\w+)'",
                             (SOURCE / "lwc/omniSummary/omniSummary.js").read_text(encoding="utf-8")))  # fmt: skip
    assert exposed == set(re.findall(r"@AuraEnabled\s+public static Answer (\w+)\(", code))


@pytest.mark.slow
@pytest.mark.acceptance("operation-14")
def test_the_component_s_tests_pass_and_the_classes_parse(tmp_path):
    shutil.copytree(PROJECT, tmp_path / "project", ignore=shutil.ignore_patterns("node_modules"))

    def run(*command):
        done = subprocess.run(command, cwd=tmp_path / "project", capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{done.stdout[-3000:]}{done.stderr[-3000:]}"
        return done.stdout + done.stderr

    run("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent")
    assert "parsed 2 classes" in run("node", "parse-apex.mjs", SOURCE / "classes")
    report = tmp_path / "report.json"
    run("npx", "--no-install", "sfdx-lwc-jest", "--", "--json", f"--outputFile={report}")
    told = json.loads(report.read_text(encoding="utf-8"))
    assert (told["numFailedTests"], told["numPassedTests"]) == (0, 16)
