"""Checks `kvcast schema` with a validator of its own: the schema is draft-07, every scenario of the folders validates, and a
key or value that kvcast does not know is refused.

    python3 schema.py KVCAST FOLDER...

Exit code 77 (skipped) without the Python packages jsonschema and PyYAML.
"""
import copy
import json
import pathlib
import subprocess
import sys

try:
    import jsonschema
    import yaml
except ImportError as error:
    print(f"skipped: {error}")
    sys.exit(77)

schema = json.loads(subprocess.run([sys.argv[1], "schema"], check=True, capture_output=True, text=True).stdout)
jsonschema.Draft7Validator.check_schema(schema)
validator = jsonschema.Draft7Validator(schema)
faults = 0
seen = 0
for folder in sys.argv[2:]:
    for path in sorted(pathlib.Path(folder).glob("*.yaml")):
        scenario = yaml.safe_load(path.read_text())
        if not isinstance(scenario, dict):  # a test's command line alone
            continue
        seen += 1
        for error in validator.iter_errors(scenario):
            faults += 1
            print(f"{path}: {'.'.join(map(str, error.path))}: {error.message[:200]}")
        for change in (lambda s: s.update(modell="x"), lambda s: s.setdefault("engine", {}).update(block_sise=16),
                       lambda s: s.setdefault("cluster", {}).update(replicas=0), lambda s: s.update(seed="one")):
            wrong = copy.deepcopy(scenario)
            change(wrong)
            if validator.is_valid(wrong):
                faults += 1
                print(f"{path}: a wrong key or value passes")
if seen < 30:
    faults += 1
    print(f"only {seen} scenarios were found")
print(f"{seen} scenarios, {faults} faults")
sys.exit(faults > 0)
