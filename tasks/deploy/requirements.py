"""What the service needs installed, for the image that `bentoml containerize` makes: results/package/requirements.txt.

The bounds are those of pyproject.toml; a test holds them to that. A library that only one kind of input needs stands
in the packages of that kind alone.
"""

SERVICE = (
    "bentoml>=1.4.39,<1.5",
    "numpy>=2.4,<3",
    "onnxruntime>=1.32,<1.33",
    "orjson>=3.13,<4",
    "pillow>=13,<14",
    "prometheus-client>=0.26,<1",
    "psutil>=7.2,<8",
    "sqlalchemy>=2.0.58,<2.1",
)
OF_KIND = {"audio": ("scipy>=1.17,<2",), "text": ("tokenizers>=0.23,<0.24",)}
OF_CONTROL = {"postgres": ("psycopg[binary]>=3.3,<4",), "redis": ("redis>=5,<9",)}


def requirements(kind: str, control_url: str = "") -> str:
    """requirements.txt of the service for inputs of `kind`, as in Preprocess, with its control plane at a URL."""
    control = next((needed for scheme, needed in OF_CONTROL.items() if control_url.startswith(scheme)), ())
    return "\n".join(sorted((*SERVICE, *OF_KIND.get(kind, ()), *control))) + "\n"
