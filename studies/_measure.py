"""The child that runs one method of a comparison, so that time and memory are its own."""

import json
import sys
import threading

from ..problems.errors import InvalidInput, LabelcutError, NotEnoughMemory, UnsupportedProblem
from ..problems.problem_files import read_problem
from ..solvers import solve
from ..solvers._mip_worker import end_with_parent, peak_bytes


def main() -> None:
    """Solve what the request in ``argv[1]`` says; save the answer, print what became of it."""
    threading.Thread(target=end_with_parent, daemon=True).start()
    request = json.loads(sys.argv[1])
    problem = read_problem(request.pop("problem")).problem
    out, method = request.pop("out"), request.pop("method")
    try:
        solution = solve(problem, method, **request)
    except (NotEnoughMemory, UnsupportedProblem) as error:
        print(json.dumps({"refusal": str(error)}))
        return
    except InvalidInput as error:
        print(json.dumps({"invalid": str(error)}))
        return
    except LabelcutError as error:
        print(json.dumps({"failure": str(error)}))
        return
    solution.save(out)
    peak = peak_bytes()
    total = None if peak is None else peak + solution.info.get("worker_peak_bytes", 0)
    print(json.dumps({"megabytes": None if total is None else total / 1e6}))


if __name__ == "__main__":
    main()
