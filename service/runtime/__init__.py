"""The composition root: the only place that builds clients; tests pass ``create_app`` a runtime made of fakes."""

from service.runtime.build import build_runtime as build_runtime
from service.runtime.runtime import Runtime as Runtime
from service.runtime.runtime import Shared as Shared
