-- Run by the Postgres image when its data folder is new.
create database catalog;
create database dagster;
create database mlflow;
