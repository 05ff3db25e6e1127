"""What a task with an empty disk knows of releases from the shared table and the bucket, and what it refuses."""

from types import SimpleNamespace

import pytest
from builders import make_pair
from notary import Notary
from shared_table import TableInMemory

from service.core.release.ledger_copy import ledger_copy
from service.core.release.registry import RegistryPairSource
from service.core.release.registry_record import to_registry
from service.core.release.registry_version import verify_version
from service.core.release.release_copies import ReleaseCopies, release_partition
from service.core.release.unseen import UnseenPolicy
from service.kit.frame.errors import RegistryError, StoreError
from service.kit.settings import Settings

FOLDER = "omni-channel/last-known-good/local/demo/"
DOWN = RegistryError("the registry does not answer")


class Bucket:
    def __init__(self):
        self.objects, self.down = {}, False

    def _reach(self):
        if self.down:
            raise StoreError("bucket 'b' cannot be reached: ConnectTimeoutError")

    def put_json(self, key, text):
        self._reach()
        self.objects.setdefault(key, text)

    def read(self, key, *, most_bytes):
        self._reach()
        return SimpleNamespace(body=self.objects[key].encode("utf-8", "surrogateescape"))

    def listed(self, prefix):
        self._reach()
        yield [SimpleNamespace(key=key) for key in sorted(self.objects) if key.startswith(prefix)]


class Service:
    """Tasks that share a table and a bucket, each with a disk of its own."""

    def __init__(self, root, notary):
        self.root, self.notary = root, notary
        self.table, self.bucket = TableInMemory(), Bucket()
        (root / "trusted.pem").write_text(notary.public_pem(), encoding="utf-8")

    def settings(self, disk="new"):
        return Settings(
            state_dir=self.root / disk,
            registry_uri=f"sqlite:///{self.root}/none.db",
            trusted_keys=self.root / "trusted.pem",
        )

    def release(self, sequence, notary=None, **changes):
        notary, pair = notary or self.notary, make_pair(name=f"pair{sequence}")
        template, config = to_registry(pair)
        found = SimpleNamespace(
            version=3,
            template=template,
            model_config=config,
            tags=notary.tags(pair, release=notary.release(pair, sequence, **changes)),
        )
        return verify_version("demo", found, "local", notary.keys, UnseenPolicy(stage="local", takes=True))

    def copies(self, settings):
        return ReleaseCopies("demo", settings, self.table, self.bucket)

    def task(self, answer, disk="new"):
        """A task that has asked the registry once and got ``answer``."""

        def fetch():
            if isinstance(answer, Exception):
                raise answer
            return answer

        settings = self.settings(disk)
        source = RegistryPairSource("demo", settings, fetch=fetch, copies=self.copies(settings))
        source.refresh()
        return source


@pytest.fixture
def service(tmp_path, notary):
    return Service(tmp_path, notary)


def test_an_empty_disk_and_a_dead_registry_still_give_the_last_known_good(service):
    service.task(service.release(1), "one")
    service.task(service.release(2), "one")
    source = service.task(DOWN)
    assert (source.current().sequence, source.current().source) == (2, "last_known_good")
    assert source.current().attestation_envelope
    assert source.status().last_error == str(DOWN)


def test_a_registry_that_comes_back_takes_over(service):
    service.task(service.release(1), "one")
    source = service.task(DOWN)
    source._fetch = lambda: service.release(2)
    source.refresh()
    assert (source.current().sequence, source.current().source, source.status().last_error) == (2, "registry", None)


def test_a_forged_copy_is_passed_over_and_named_if_there_is_no_other(service):
    service.task(service.release(1), "one")
    (good,) = service.bucket.objects
    for name, text in {
        "00000009-0000.json": service.bucket.objects[good].replace("pair1", "evil1"),
        "00000008-0000.json": "{",
        "00000007-0000.json": "\udcff",
        "00000006-0000.json": service.bucket.objects[good],  # a copy of release 1 under the name of release 6
    }.items():
        service.bucket.objects[FOLDER + name] = text
    assert service.task(DOWN).current().sequence == 1
    del service.bucket.objects[good]
    source = service.task(DOWN)
    assert source.status().served is None
    assert "00000009-0000.json) is not served" in source.status().last_error
    assert "delete the object" in source.status().last_error


def test_a_stranger_s_release_is_no_copy(service):
    stranger = Notary()
    service.copies(service.settings()).keep(service.release(9, stranger))
    source = service.task(DOWN)
    assert source.status().served is None
    assert "not by a key trusted in" in source.status().last_error


def test_an_older_copy_is_refused_where_the_newer_one_was_removed(service):
    service.task(service.release(1), "one")
    service.task(service.release(2), "one")
    del service.bucket.objects[max(service.bucket.objects)]
    source = service.task(DOWN)
    assert source.status().served is None
    assert "is release 1, but release 2 was made" in source.status().last_error


def test_the_ledgers_copy_refuses_an_older_copy_too(service):
    served = service.release(1)
    service.task(served, "one")
    path = ledger_copy("demo", service.settings())
    path.parent.mkdir(parents=True)
    path.write_text(service.notary.sign(service.notary.release(make_pair(), 2)) + "\n", encoding="utf-8")
    assert "but release 2 was made" in service.task(DOWN).status().last_error


def test_an_alias_moved_back_is_refused_by_a_task_that_never_saw_the_newer_release(service):
    service.task(service.release(2), "one")
    source = service.task(service.release(1))
    assert "older than release 2 that a task of this service has served" in source.status().last_error
    assert "delete item 'newest' of 'test/release/demo' in table 'shared'" in source.status().last_error
    assert source.current().sequence == 2  # from the bucket


def test_a_forged_statement_in_the_table_holds_nobody_back(service):
    stranger = Notary()
    envelope = stranger.sign(stranger.release(make_pair(), 999))
    for text in (envelope, "{", ""):
        service.table.put(release_partition("demo"), "newest", text)
        assert service.task(service.release(1), f"disk {len(text)}").status().last_error is None
    assert service.copies(service.settings()).newest() == 1  # and was replaced by a genuine one


def test_the_newest_statement_is_never_replaced_by_an_older_one(service):
    one = service.copies(service.settings())
    one.keep(service.release(3))
    one.keep(service.release(2))
    assert service.copies(service.settings()).newest() == 3


def test_another_environments_statement_does_not_count(service):
    envelope = service.notary.sign(service.notary.release(make_pair(), 7, environment="aws"))
    service.table.put(release_partition("demo"), "newest", envelope)
    assert service.copies(service.settings()).newest() == 0


def test_stores_that_are_down_are_named_and_written_when_they_are_back(service):
    service.table.down = service.bucket.down = True
    source = service.task(service.release(1), "one")
    assert source.current().sequence == 1
    assert "its copy for other tasks cannot be written" in source.status().last_error
    assert "cannot be reached" in service.task(DOWN).status().last_error
    service.table.down = service.bucket.down = False
    source.refresh()
    assert source.status().last_error is None
    assert service.task(DOWN).current().sequence == 1


def test_each_release_is_announced_once(service):
    source = service.task(service.release(1), "one")
    source.refresh()
    service.task(service.release(1), "other")
    assert service.table.changes() == {release_partition("demo"): 1}
    service.task(service.release(2), "other")
    assert service.table.changes() == {release_partition("demo"): 2}


def test_the_table_is_read_again_only_after_a_change(service):
    copies = service.copies(service.settings())
    assert copies.newest() == 0
    service.copies(service.settings("one")).keep(service.release(1))
    assert copies.newest() == 0
    copies.look_again()
    assert copies.newest() == 1


def test_a_change_that_is_announced_while_the_table_is_read_is_read_next_time(service):
    copies, table = service.copies(service.settings()), service.table
    read = table.get

    def overtaken(*asked):
        found = read(*asked)
        table.get = read
        service.copies(service.settings("one")).keep(service.release(1))
        copies.look_again()
        return found

    table.get = overtaken
    assert copies.newest() == 0
    assert copies.newest() == 1


def test_a_bucket_that_answers_nonsense_does_not_end_the_refreshing(service):
    def nonsense(*arguments, **more):
        raise KeyError("Contents")

    service.bucket.listed = service.bucket.put_json = nonsense
    assert "KeyError" in service.task(DOWN).status().last_error
    source = service.task(service.release(1))
    assert (source.current().sequence, "KeyError" in source.status().last_error) == (1, True)
    assert service.task(DOWN).current().sequence == 1  # by its disk
