"""What the id of a ledger job may be."""

from dagster import DagsterInstance
from hypothesis import given
from hypothesis import strategies as st

from medkg_dagster.domain.job_ids import MAX_JOB_ID, check_job_id, file_name
from medkg_dagster.errors import ConfigError


@given(st.text(alphabet="aZ0._:@+=-/ %ä\n", max_size=250) | st.text(max_size=30))
def test_an_id_that_is_taken_is_a_partition_key_and_fits_the_name_of_a_file(job_id: str) -> None:
    try:
        check_job_id(job_id)
    except ConfigError:
        return
    assert len(file_name(job_id)) <= MAX_JOB_ID
    assert not {"/", "\0", ":"} & set(file_name(job_id))
    with DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("jobs", [job_id])


@given(st.text(min_size=1, max_size=40), st.text(min_size=1, max_size=40))
def test_ids_that_differ_have_files_of_different_names(one: str, other: str) -> None:
    assert (file_name(one) == file_name(other)) == (one == other)
