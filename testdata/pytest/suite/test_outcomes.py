"""Tests of every outcome, for the results.xml that a real pytest writes of them."""

import sys

import pytest

BLOCK = """\
============ Serving Benchmark Result ============
Total requests:                          40        
Successful requests:                     40        
Failed requests:                         0         
Benchmark duration (s):                  12.35     
Total generated tokens:                  40960     
Request throughput (req/s):              3.24      
Output token throughput (tok/s):         3317.94   
---------------Time to First Token----------------
Mean TTFT (ms):                          55.50     
==================================================
"""


def test_before():
    print("first")


@pytest.mark.parametrize("perf_sanity_test_case", ["disagg_upload-e2e-toy-fp4_1k1k"])
def test_e2e(perf_sanity_test_case):
    print(BLOCK)


def test_fails():
    print("before the failure")
    raise RuntimeError("Some metrics in Server 0 Client 0 are missing")


@pytest.fixture
def broken_setup():
    raise ValueError("the setup broke")


def test_setup_breaks(broken_setup):
    pass


@pytest.fixture
def broken_teardown():
    yield
    raise ValueError("the teardown broke")


def test_teardown_breaks(broken_teardown):
    print("the call itself passes")


@pytest.mark.skip(reason="not on this GPU")
def test_skipped():
    pass


@pytest.mark.xfail(reason="known")
def test_expected_to_fail():
    assert False


def test_control_characters():
    print("\x1b[32mgreen\x1b[0m \x00 \x08 bell \x07")
    print("progress 10%\rprogress 100%\rends with <tags> & \"quotes\" ]]>")
    print("standard error", file=sys.stderr)


@pytest.mark.parametrize("letters", ["é✓"])
def test_letters(letters):
    print("höher, schneller, weiter: " + letters)
