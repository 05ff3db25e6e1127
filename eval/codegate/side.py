"""The child process of the code gate, run by each checkout's own code: ``python -m eval.codegate.side answers|judge|figures``."""

import sys
from pathlib import Path

from eval.codegate.answers import ABORTED, ASKED_PAIR, SIDE_ANSWERS, answer_cases
from eval.codegate.judging import CODE_JUDGEMENT, VALUES, figures_of, judge_sides
from eval.spine.errors import HarnessError, RunAborted
from service.kit.frame.display.terminal import say
from service.kit.frame.errors import ServiceError
from service.kit.frame.files import write_whole
from service.kit.settings import Settings


def main(arguments: list[str]) -> int:
    """Do one step; ``arguments`` are its name, the files that it reads, and last the file that it writes."""
    step, *read, target = arguments
    settings = Settings()
    try:
        if step == "answers":
            asked = ASKED_PAIR.validate_json(Path(read[0]).read_bytes())
            done = SIDE_ANSWERS.dump_json(answer_cases(asked, settings))
        elif step == "judge":
            base, branch = (SIDE_ANSWERS.validate_json(Path(name).read_bytes()) for name in read)
            done = CODE_JUDGEMENT.dump_json(judge_sides(base, branch, settings))
        else:
            done = VALUES.dump_json(figures_of(SIDE_ANSWERS.validate_json(Path(read[0]).read_bytes()), settings))
    except RunAborted as err:
        say(f"error: {err}", file=sys.stderr)
        return ABORTED
    except (HarnessError, ServiceError) as err:
        say(f"error: {err}", file=sys.stderr)
        return 2
    write_whole(Path(target), done)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
