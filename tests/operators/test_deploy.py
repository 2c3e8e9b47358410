"""The files in deploy/, as far as they can be tried without a container engine; container.sh beside this tries them with one."""

import pathlib
import re
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


class Container(unittest.TestCase):
    FOLDER = ROOT / "deploy/docker"

    def test_the_image_shows_the_ports_that_the_server_listens_on_and_runs_as_nobody_special(self):
        text = (self.FOLDER / "Dockerfile").read_text()
        instructions = [line for line in re.sub(r"\\\n", "", text).splitlines() if line and not line.startswith("#")]
        kinds = {line.split()[0] for line in instructions}
        self.assertLessEqual(kinds, {"ARG", "FROM", "WORKDIR", "COPY", "RUN", "USER", "VOLUME", "ENV", "EXPOSE", "STOPSIGNAL",
                                     "HEALTHCHECK", "ENTRYPOINT", "CMD"})
        exposed = {port for line in instructions if line.startswith("EXPOSE") for port in line.split()[1:]}
        example = (ROOT / "config/balcony.toml").read_text()
        everywhere = set(re.findall(r'^#? ?listen(?:_tls)? = \["\[::\]:(\d+)"\]', example, flags=re.M))
        self.assertEqual(exposed, everywhere)
        compose = (self.FOLDER / "compose.yaml").read_text()
        self.assertEqual(exposed, set(re.findall(r'"(\d+):\1"', compose)))
        self.assertIn("USER 10001", instructions)

    def test_what_compose_mounts_is_there(self):
        mounted = re.findall(r"^ +- (\.{1,2}/[^:\n]+):", (self.FOLDER / "compose.yaml").read_text(), flags=re.M)
        self.assertGreater(len(mounted), 2)
        missing = [path for path in mounted if not (self.FOLDER / path).exists()]
        # The operator brings it, as the first lines of the file say.
        self.assertEqual(missing, ["./certs"])

    def test_the_configuration_of_the_compose_file_has_no_mistake_but_its_missing_files(self):
        done = subprocess.run([ROOT / "target/debug/balcony", "check", "--config", self.FOLDER / "balcony.toml"],
                              capture_output=True, text=True, timeout=60)
        wrong = re.findall(r".*(?:there is no such setting|: cannot be a|not TOML).*", done.stdout + done.stderr)
        self.assertEqual(wrong, [])


if __name__ == "__main__":
    unittest.main()
