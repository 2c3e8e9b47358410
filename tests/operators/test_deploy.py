"""The files in deploy/, as far as they can be tried without a container engine."""

import pathlib
import subprocess
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]


class Unit(unittest.TestCase):
    UNIT = ROOT / "deploy/systemd/balcony.service"

    def run_systemd_analyze(self, *arguments):
        with tempfile.TemporaryDirectory() as directory:
            # The program stands where it was built.
            unit = pathlib.Path(directory) / self.UNIT.name
            unit.write_text(self.UNIT.read_text().replace("/usr/local/bin/balcony", str(ROOT / "target/debug/balcony")))
            return subprocess.run(["systemd-analyze", *arguments, unit], capture_output=True, text=True)

    def test_systemd_understands_the_unit(self):
        done = self.run_systemd_analyze("verify")
        self.assertEqual((done.returncode, done.stdout + done.stderr), (0, ""))

    def test_the_unit_gives_the_server_little(self):
        done = self.run_systemd_analyze("security", "--offline=true", "--threshold=20")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)


if __name__ == "__main__":
    unittest.main()
