{#
What a test looks at: all dates, or those of TICK_WINDOW_FROM .. TICK_WINDOW_TO, both inclusive. Prunes partitions. The variables are read
when a test runs and not when it is parsed, so another window leaves what was parsed as it is.
#}
{% macro in_window(column='date') -%}
    {%- set first = env_var("TICK_WINDOW_FROM", "1970-01-01") if execute else "1970-01-01" -%}
    {%- set last = env_var("TICK_WINDOW_TO", "9999-12-31") if execute else "9999-12-31" -%}
    {{ column }} between date '{{ first }}' and date '{{ last }}'
{%- endmacro %}
