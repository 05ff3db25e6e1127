"""What `omni backfill` refuses before it reads or writes anything."""

import pytest

from eval.commands.backfill import backfill
from eval.spine.errors import BackfillError


@pytest.mark.parametrize("name", ["../../x", "/tmp/x", "a/b", "", ".", "..", "-x"])
def test_a_name_that_leaves_the_folder_of_backfills_is_refused(name):
    with pytest.raises(BackfillError, match="names a folder: letters, digits"):
        backfill(name=name)
