"""Lines that the tests print."""


def print_info(text):
    print(f"[I] {text}", flush=True)


def print_error(text):
    print(f"[E] {text}", flush=True)
