{# The feature columns, one a line. #}
{% macro feature_columns(prefix='') -%}
    {% for name in var('feature_columns') -%}
        {{ prefix }}{{ name }}{{ ',\n        ' if not loop.last }}
    {%- endfor %}
{%- endmacro %}
