"""Reading one YAML file of permissions/: the same reader as for tools/."""

from interlock.definitions.yaml_file import MAX_FILE_BYTES, Place, YamlFile, parse_yaml, read_yaml

__all__ = ["MAX_FILE_BYTES", "Place", "YamlFile", "parse_yaml", "read_yaml"]
