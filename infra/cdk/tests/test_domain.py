"""The API has a domain of its own with a certificate, or says that it has none."""

import json

import pytest
from app import synthesize
from environments import OwnDomain, read_environments
from findings import problems, read_accepted
from pydantic import ValidationError

OURS = OwnDomain(name="insights.example.com", zone="example.com", zone_id="Z0123456789ABC")


@pytest.fixture(scope="module")
def with_domain(tmp_path_factory):
    """The API's template of dev with a domain."""
    folder = tmp_path_factory.mktemp("domain")
    context = read_environments()["dev"].model_copy(update={"domain": OURS})
    found = problems(synthesize(context, folder), read_accepted())
    # Reasons for what is in other environments alone find nothing here.
    assert [one for one in found if not one.startswith("accepted.yaml: nothing breaks")] == []
    return json.loads((folder / "omni-api.template.json").read_text(encoding="utf-8"))


def of_type(template, kind):
    return [one["Properties"] for one in template["Resources"].values() if one["Type"] == kind]


def test_without_a_domain_the_stack_says_so(templates):
    for stage in ("dev", "test", "prod"):
        api = templates[stage]["omni-api"]
        assert "no domain" in api["Outputs"]["Address"]["Description"]
        assert not of_type(api, "AWS::ApiGateway::DomainName")


def test_an_own_domain_has_a_certificate_that_its_zone_proves(with_domain):
    (domain,) = of_type(with_domain, "AWS::ApiGateway::DomainName")
    (certificate,) = of_type(with_domain, "AWS::CertificateManager::Certificate")
    assert domain["DomainName"] == certificate["DomainName"] == OURS.name
    assert domain["SecurityPolicy"] == "TLS_1_2"
    assert certificate["ValidationMethod"] == "DNS"
    assert certificate["DomainValidationOptions"] == [{"DomainName": OURS.name, "HostedZoneId": OURS.zone_id}]


def test_the_name_leads_to_the_api_which_has_no_second_address(with_domain):
    (record,) = of_type(with_domain, "AWS::Route53::RecordSet")
    assert (record["Name"], record["HostedZoneId"], record["Type"]) == (f"{OURS.name}.", OURS.zone_id, "A")
    (mapping,) = of_type(with_domain, "AWS::ApiGateway::BasePathMapping")
    assert "BasePath" not in mapping
    (api,) = of_type(with_domain, "AWS::ApiGateway::RestApi")
    assert api["DisableExecuteApiEndpoint"] is True
    assert with_domain["Outputs"]["Address"]["Value"] == f"https://{OURS.name}/"


def test_a_domain_that_is_no_name_is_refused():
    with pytest.raises(ValidationError):
        OwnDomain(name="https://insights.example.com", zone="example.com", zone_id="Z1")
