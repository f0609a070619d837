"""Where nothing was ever handed over to Slurm, nobody asks for it."""

from greenai.adapters.executors.slurm import SlurmExecutor


def test_a_slurm_that_is_not_there_is_nobodys_trouble(tmp_path):
    assert SlurmExecutor(tmp_path, {"PATH": str(tmp_path)}).in_line() == frozenset()
