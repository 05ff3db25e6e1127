"""A clinic's desk: the records, the tools over them, and how its conversations are played."""

from eval.dialogue.play import DialogueEpisode
from eval.dialogue.world import RecordsWorld
from service.core.tools.port import ToolError
from service.core.unit.pair import ToolSpec


def _spec(name, description, required, **more):
    properties = {field: {"type": kind} for field, kind in required.items()}
    arguments = {"type": "object", "properties": properties, "required": list(required)}
    return ToolSpec(name=name, description=description, arguments=arguments, **more)


BORN_OF_ANOTHER = "1971-05-06"
SPECS = (
    _spec(
        "find_appointment",
        "Find a patient's next appointment.",
        {"patient": "string", "born": "string"},
        verifies=("appointment", "patient"),
    ),
    _spec("free_slots", "List the free times of a day.", {"day": "string"}, verifies=("slots",)),
    _spec("opening_hours", "Say when the clinic is open on a weekday.", {"weekday": "string"}),
    _spec("cancel_appointment", "Cancel an appointment.", {"appointment": "string"}, writes=True),
    _spec("move_appointment", "Move an appointment.", {"appointment": "string", "slot": "string"}, writes=True),
    _spec(
        "order_medicine",
        "Order a medicine again.",
        {"patient": "string", "medicine": "string", "packs": "integer"},
        writes=True,
    ),
)


def _find(records, arguments):
    patient = records["patients"].get(arguments["patient"])
    if patient is None or patient["born"] != arguments["born"]:
        raise ToolError("no patient has this number and date of birth")
    number = patient["appointment"]
    return {"patient": arguments["patient"], "appointment": number, **records["appointments"][number]}


def _slots(records, arguments):
    free = {name: slot for name, slot in records["slots"].items() if slot["day"] == arguments["day"] and slot["free"]}
    return {"slots": sorted(free), "times": [free[name]["time"] for name in sorted(free)], "day": arguments["day"]}


def _hours(records, arguments):
    return {"hours": records["hours"].get(arguments["weekday"], "closed")}


def _cancel(records, arguments):
    appointment = records["appointments"].get(arguments["appointment"])
    if appointment is None or appointment["state"] != "booked":
        raise ToolError("there is no such appointment")
    appointment["state"] = "cancelled"
    return {"appointment": arguments["appointment"], "state": "cancelled"}


def _move(records, arguments):
    appointment, slot = records["appointments"].get(arguments["appointment"]), records["slots"].get(arguments["slot"])
    if appointment is None or slot is None or not slot["free"]:
        raise ToolError("this appointment cannot be moved to this slot")
    appointment["day"], appointment["time"], slot["free"] = slot["day"], slot["time"], False
    return {"appointment": arguments["appointment"], "day": slot["day"], "time": slot["time"]}


def _order(records, arguments):
    number = f"O{len(records['orders']) + 1}"
    records["orders"][number] = {name: arguments[name] for name in ("patient", "medicine", "packs")}
    return {"order": number, "medicine": arguments["medicine"], "packs": arguments["packs"]}


WORKS = {
    "find_appointment": _find,
    "free_slots": _slots,
    "opening_hours": _hours,
    "cancel_appointment": _cancel,
    "move_appointment": _move,
    "order_medicine": _order,
}


def records(number):
    """Return the records of a clinic whose patient ``number`` calls; another patient has an appointment, too."""
    day = f"2026-12-{number % 20 + 2:02d}"
    patients = {
        f"P{100 + number}": {"name": "Ann Reed", "born": "1980-02-03", "appointment": f"A{number}"},
        "P900": {"name": "Bo Quist", "born": BORN_OF_ANOTHER, "appointment": "A900"},
    }
    appointments = {
        f"A{number}": {"doctor": "Dr Lee", "day": day, "time": f"{8 + number % 4}:30", "state": "booked"},
        "A900": {"doctor": "Dr Ming", "day": "2027-01-15", "time": "16:50", "state": "booked"},
    }
    slots = {
        "S1": {"day": "2026-12-28", "time": "13:10", "free": True},
        "S2": {"day": "2026-12-28", "time": "15:40", "free": True},
        "S3": {"day": "2026-12-29", "time": "10:20", "free": True},
        "S4": {"day": "2026-12-30", "time": "11:00", "free": False},
    }
    hours = {"Monday": "8:00 to 17:00", "Saturday": "9:15 to 12:45"}
    return {"patients": patients, "appointments": appointments, "slots": slots, "orders": {}, "hours": hours}


def world(scenario):
    return RecordsWorld(scenario.world, SPECS, WORKS)


EPISODE = DialogueEpisode(world=world, specs=SPECS)
