"""The child that runs one method of a comparison, so that time and memory are its own."""

import json
import sys
import threading
from typing import Any

from ..problems.errors import InvalidInput, LabelcutError, NotEnoughMemory, UnsupportedProblem
from ..problems.problem_files import read_problem
from ..solvers import solve
from ..solvers._mip_worker import end_with_parent, peak_bytes


def main() -> None:
    """Run the request in ``argv[1]`` and print what became of it."""
    threading.Thread(target=end_with_parent, daemon=True).start()
    print(json.dumps(measured(json.loads(sys.argv[1]))))


def measured(request: dict[str, Any]) -> dict[str, Any]:
    """Solve, save the answer, and return peak memory or why there is no answer."""
    problem = read_problem(request.pop("problem")).problem
    out, method = request.pop("out"), request.pop("method")
    try:
        solution = solve(problem, method, **request)
    except (NotEnoughMemory, UnsupportedProblem) as error:
        return {"refusal": str(error)}
    except InvalidInput as error:
        return {"invalid": str(error)}
    except LabelcutError as error:
        return {"failure": str(error)}
    solution.save(out)
    peak = peak_bytes()
    total = None if peak is None else peak + solution.info.get("worker_peak_bytes", 0)
    return {"megabytes": None if total is None else total / 1e6}


if __name__ == "__main__":
    main()
