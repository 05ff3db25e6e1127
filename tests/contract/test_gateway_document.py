"""The API gateway's document is made from the service's own: a changed operation must not be left out of the gateway."""

import importlib.util
import json
from pathlib import Path
from xml.etree import ElementTree

MODULE = Path(__file__).resolve().parents[2] / "infra" / "cdk" / "openapi.py"


def test_the_committed_document_is_made_from_the_service():
    spec = importlib.util.spec_from_file_location("gateway_openapi", MODULE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    made = module.written(module.document_of_the_service())
    assert module.FILE.read_text(encoding="utf-8") == made, (
        "write it again: PYTHONPATH=. .venv/bin/python infra/cdk/openapi.py"
    )


def test_salesforce_sends_the_key_that_the_gateway_demands():
    document = json.loads(MODULE.with_name("openapi.json").read_text(encoding="utf-8"))
    for path in ("/omni-channel-insights", "/feedback"):
        assert document["paths"][path]["post"]["security"] == [{"gateway-key": []}]
    scheme = document["components"]["securitySchemes"]["gateway-key"]
    file = (
        MODULE.parents[1] / "salesforce/force-app/main/default/namedCredentials/OmniInsights.namedCredential-meta.xml"
    )
    found = ElementTree.parse(file).getroot().iter("{http://soap.sforce.com/2006/04/metadata}namedCredentialParameters")
    parameters = [{field.tag.partition("}")[2]: field.text for field in one} for one in found]
    headers = {one["parameterName"]: one for one in parameters if one["parameterType"] == "HttpHeader"}
    assert set(headers) == {scheme["name"]}
