"""Parts of the rehearsal that need no process: templates, images, grants, steps, and the list of what only AWS can show."""

import copy
import re

import pytest

from omni.deploying.rehearsal import bring_up, broken, clients, grants, in_use, runbooks
from omni.deploying.rehearsal.account import CannotDeploy
from omni.deploying.rehearsal.front import unsigned
from omni.deploying.rehearsal.gateway import GatewayFront
from omni.deploying.rehearsal.steps import RehearsalStep, Unexpected, rehearse
from omni.deploying.rehearsal.tasks import Image
from omni.deploying.rehearsal.templates import SECRET_REFERENCE, for_the_local_aws, named, read_template, resources
from omni.deploying.rehearse import only_aws
from service.kit.settings import REPO_ROOT
from service.warehouse import schema


def test_what_the_local_aws_lacks_is_left_out_with_references_to_it():
    template = {
        "Resources": {
            "Nat": {"Type": "AWS::EC2::NatGateway", "Properties": {}},
            "Route": {
                "Type": "AWS::EC2::Route",
                "DependsOn": ["Nat", "Table"],
                "Properties": {
                    "NatGatewayId": {"Ref": "Nat"},
                    "Arn": {"Fn::GetAtt": ["Nat", "Arn"]},
                    "Table": {"Ref": "Table"},
                },
            },
            "Table": {"Type": "AWS::EC2::RouteTable", "Properties": {}},
        }
    }
    found = for_the_local_aws(template)["Resources"]
    assert set(found) == {"Route", "Table"}
    assert found["Route"]["DependsOn"] == ["Table"]
    assert found["Route"]["Properties"]["Table"] == {"Ref": "Table"}
    assert "Nat" in found["Route"]["Properties"]["NatGatewayId"]


def test_a_reference_to_a_secret_is_read_with_its_key():
    smoke = next(
        one
        for name, one in resources(read_template("omni-service"), "AWS::Lambda::Function").items()
        if name.startswith("Smoke")
    )
    text = named(smoke["Environment"]["Variables"]["OMNI_SMOKE_CLIENT_SECRET"])
    ((secret, key),) = SECRET_REFERENCE.findall(text)
    assert secret.endswith(":secret:omni-smoke-client")
    assert key == "secret"


def test_an_image_says_its_entry_point_variables_and_files():
    service, registry = Image("service"), Image("registry")
    assert service.entrypoint[-1] == "service"
    assert service.variables["OMNI_STATE_DIR"] == "/var/lib/omni"
    assert registry.files["/opt/registry/accounts.py"].endswith("infra/image/registry_accounts.py")
    with pytest.raises(CannotDeploy, match="no stage 'nothing'"):
        Image("nothing")


def test_an_application_is_laid_out_as_the_image_has_it(tmp_path):
    service, workers, registry = (Image(name) for name in ("service", "workers", "registry"))
    laid_out = service.application(tmp_path)
    assert {path.name for path in laid_out.iterdir()} == {"prompts", "service"}
    assert (laid_out / "service" / "__main__.py").is_file()
    assert not (laid_out / "service" / "local").exists()
    laid_out = workers.application(tmp_path)
    assert (laid_out / "infra" / "schedule.yaml").is_file()
    assert not (laid_out / "infra" / "cdk").exists()
    assert not registry.has_application
    assert registry.application(tmp_path) == REPO_ROOT
    assert "purge" in registry.taken_away()


def test_each_workload_may_do_in_the_warehouse_what_its_statements_do():
    assert grants.lacking(read_template("omni-service")) == []


def _without_tags(template):
    for role in resources(template, "AWS::IAM::Role").values():
        role["Tags"] = [tag for tag in role.get("Tags", ()) if tag["Key"] != grants.TAG]
    return template


def test_grants_that_are_taken_away_are_missed(monkeypatch):
    template = read_template("omni-service")
    assert len(grants.lacking(_without_tags(copy.deepcopy(template)))) == 4
    with monkeypatch.context() as changed:
        changed.setattr(schema, "grants", lambda: "")
        found = grants.lacking(template)
    assert "Service may not SELECT as omni_reader" in found
    with monkeypatch.context() as changed:
        changed.setattr(schema, "roles", lambda: "CREATE ROLE omni_writer")
        assert any("omni_reader, which nobody makes" in one for one in grants.lacking(template))


def test_a_failed_step_is_a_row_and_a_vital_one_ends_it():
    def fails(_):
        raise Unexpected("other than expected")

    def steps(vital):
        first = RehearsalStep(name="a", expected="x", run=fails, vital=vital)
        return (first, RehearsalStep(name="b", expected="y", run=lambda _: "well"))

    assert [(row.outcome, row.got) for row in rehearse(None, steps(vital=False))] == [
        ("FAILED", "other than expected"),
        ("ok", "well"),
    ]
    assert [row.outcome for row in rehearse(None, steps(vital=True))] == ["FAILED", "not reached"]


def test_what_only_aws_can_show_is_a_short_list_with_sources():
    lines = only_aws()
    assert 0 < len(lines) <= 10
    assert all(re.search(r": .+ \(.*(Guide|docs).*\)$", line) for line in lines)


def test_every_step_has_a_name_of_its_own():
    steps = [*bring_up.STEPS, *in_use.STEPS, *clients.STEPS, *runbooks.STEPS, *broken.STEPS]
    assert len({step.name for step in steps}) == len(steps) > 20


@pytest.mark.parametrize(
    ("target", "left"),
    [
        ("/bucket/key?X-Amz-Credential=k%2F20261125&X-Amz-Signature=ab&partNumber=1", "/bucket/key?partNumber=1"),
        ("/bucket/key?X-Amz-Credential=k%2F20261125", "/bucket/key"),
        ("/bucket?list-type=2&prefix=a", "/bucket?list-type=2&prefix=a"),
    ],
)
def test_a_presigned_address_is_passed_on_without_its_signature(target, left):
    assert unsigned(target) == left


DOCUMENT = {
    "paths": {},
    "components": {"schemas": {"Question": {"type": "object", "required": ["account"], "properties": {}}}},
}
ASKS = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Question"}}},
    }
}


@pytest.mark.parametrize(
    ("body", "fits"), [(b'{"account": "1"}', True), (b"{}", False), (b"", False), (b"no json", False), (b"[]", False)]
)
def test_the_gateway_checks_a_body_by_the_documents_schema(body, fits):
    gateway = GatewayFront(DOCUMENT, "prod", set(), {})
    assert gateway.fits(ASKS, body, "application/json") is fits
    assert gateway.fits({}, body, "application/json")
